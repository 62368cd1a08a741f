package main

import (
	"context"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"petvote/infra/testenv"
)

var socketSettings = settings{SocketPingInterval: 25e9, SocketPingTimeout: 20e9}

func dialSocketIO(t *testing.T, server string, options *websocket.DialOptions) *websocket.Conn {
	t.Helper()
	address := "ws" + strings.TrimPrefix(server, "http") + "/socket.io/?EIO=4&transport=websocket"
	conn, _, err := websocket.Dial(t.Context(), address, options)
	testenv.Must(t, err)
	return conn
}

func TestSocketIOServesTheHub(t *testing.T) {
	h := newHub(1)
	publish(h, dogs(1))
	sockets := newSocketServer(h, socketSettings)
	server := httptest.NewServer(sockets)
	defer server.Close()
	conn := dialSocketIO(t, server.URL, nil)
	defer conn.CloseNow()
	testenv.Must(t, conn.Write(t.Context(), websocket.MessageText, []byte("40")))
	wantAudience(t, h, 0, 1, 1, 0)
	var got []string
	for len(got) < 4 {
		if len(got) == 3 { // after open, the answer to CONNECT and the first tally
			publish(h, dogs(2))
		}
		_, message, err := conn.Read(t.Context())
		testenv.Must(t, err)
		got = append(got, string(message))
	}
	want := []string{
		`42["current_votes",{"dogs":1,"cats":0,"lizards":0}]`, `42["current_votes",{"dogs":2,"cats":0,"lizards":0}]`,
	}
	if !slices.Equal(got[2:], want) {
		t.Errorf("got %q, want %q at the end", got, want)
	}
	if _, _, err := websocket.Dial(t.Context(), server.URL+"/socket.io/?EIO=4&transport=websocket", nil); err == nil {
		t.Error("a second viewer was let in")
	}
	if err := sockets.Close(context.Background()); err != nil {
		t.Error(err)
	}
	wantAudience(t, h, 0, 0, 2, 0)
}
