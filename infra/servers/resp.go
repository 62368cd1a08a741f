package servers

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// respCommand sends a command and reads its answer, in the Redis protocol (https://redis.io/docs/latest/develop/reference/protocol-spec/).
// It knows the three kinds of answers that readiness needs: simple strings, errors and bulk strings.
func respCommand(w io.Writer, r *bufio.Reader, command ...string) (string, error) {
	var request strings.Builder
	fmt.Fprintf(&request, "*%d\r\n", len(command))
	for _, word := range command {
		fmt.Fprintf(&request, "$%d\r\n%s\r\n", len(word), word)
	}
	if _, err := io.WriteString(w, request.String()); err != nil {
		return "", err
	}
	line, err := r.ReadString('\n')
	if err != nil {
		return "", err
	}
	kind, rest := line[0], strings.TrimRight(line[1:], "\r\n")
	switch kind {
	case '+':
		return rest, nil
	case '-':
		return "", errors.New(rest)
	case '$':
		size, err := strconv.Atoi(rest)
		if err != nil || size < 0 || size > 1<<20 {
			return "", fmt.Errorf("unexpected answer %q", line)
		}
		body := make([]byte, size+2)
		if _, err := io.ReadFull(r, body); err != nil {
			return "", err
		}
		return string(body[:size]), nil
	default:
		return "", fmt.Errorf("unexpected answer %q", line)
	}
}
