package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"

	"github.com/google/uuid"

	"petvote/observability/telemetry"
	"petvote/shared/ballot"
	"petvote/shared/lifecycle"
	"petvote/shared/resilience"
	"petvote/shared/web"
)

// maxBody bounds a vote's request body, in bytes.
const maxBody = 4 << 10

// voteHandler answers POST /vote: JSON for programs, a redirect to the page for browsers without JavaScript.
type voteHandler struct {
	queue   publisher
	traceID func(context.Context) string
	limit   *web.Limiter
	base    string // the path before the page's
}

const formType = "application/x-www-form-urlencoded"

func (h *voteHandler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	mediaType := r.Header.Get("Content-Type")
	if mediaType != "application/json" { // fast path: most clients send exactly this
		mediaType, _, _ = mime.ParseMediaType(mediaType)
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxBody)
	switch mediaType {
	case "application/json":
		h.serveJSON(w, r)
	case formType:
		h.serveForm(w, r)
	default:
		answerError(w, r, requestError{http.StatusUnsupportedMediaType,
			"Content-Type must be application/json or application/x-www-form-urlencoded"})
	}
}

func (h *voteHandler) serveJSON(w http.ResponseWriter, r *http.Request) {
	if wait := h.limit.Wait(r); wait > 0 {
		web.TooMany(w, wait)
		return
	}
	pet, errPet := readChoice(r.Body)
	key, errKey := parseKey(r.Header.Get("Idempotency-Key"))
	if err := cmp.Or(errPet, errKey); err != nil {
		answerError(w, r, err)
		return
	}
	vote, entry, err := castVote(r.Context(), h.queue, pet, key)
	if err != nil {
		answerError(w, r, err)
		return
	}
	web.JSON(w, http.StatusOK, accepted{"success", vote.ID.String(), h.traceID(r.Context()), entry.String()})
}

func (h *voteHandler) serveForm(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	form, _ := url.ParseQuery(string(body)) // values that it can't parse are missing below
	pet, errPet := ballot.ParseChoice(form.Get("pet"))
	key, errKey := parseKey(form.Get("key"))
	if cmp.Or(err, errPet, errKey) != nil {
		h.redirect(w, noticePath(noticeInvalid, "", uuid.Nil))
		return
	}
	if key == uuid.Nil { // made here, so that a refused vote can be sent again under the same key
		key = newID()
	}
	if h.limit.Wait(r) > 0 {
		h.redirect(w, noticePath(noticeUnavailable, pet, key))
		return
	}
	_, entry, err := castVote(r.Context(), h.queue, pet, key)
	if err != nil {
		logRefusal(r.Context(), err)
		h.redirect(w, noticePath(noticeUnavailable, pet, key))
		return
	}
	h.redirect(w, noticePath(noticeVoted, pet, key)+"&entry="+entry.String())
}

// readChoice reads {"pet":"<choice>"}. Other members are ignored.
func readChoice(body io.Reader) (ballot.Choice, error) {
	raw, err := io.ReadAll(body)
	if err != nil {
		if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
			return "", requestError{http.StatusRequestEntityTooLarge, "the body is larger than 4 KiB"}
		}
		return "", requestError{http.StatusBadRequest, "the body did not arrive in full"}
	}
	if pet, ok := plainChoice(raw); ok {
		return pet, nil
	}
	if !json.Valid(raw) {
		return "", requestError{http.StatusBadRequest, "the body is not JSON"}
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(raw, &members); err != nil || members == nil {
		return "", requestError{http.StatusBadRequest, `the body is not a JSON object like {"pet":"dogs"}`}
	}
	var name string
	if err := json.Unmarshal(members["pet"], &name); err != nil {
		return "", ballot.ErrUnknownChoice
	}
	return ballot.ParseChoice(name)
}

// plainChoice is the fast path: it skips JSON decoding for the body that the page and most programs send.
func plainChoice(raw []byte) (ballot.Choice, bool) {
	rest, hasPrefix := bytes.CutPrefix(raw, []byte(`{"pet":"`))
	name, hasSuffix := bytes.CutSuffix(rest, []byte(`"}`))
	pet, err := ballot.ParseChoice(string(name))
	return pet, hasPrefix && hasSuffix && err == nil
}

// parseKey reads an idempotency key, a UUID in canonical form; an empty text gives the zero UUID.
func parseKey(text string) (uuid.UUID, error) {
	if text == "" {
		return uuid.Nil, nil
	}
	const canonicalLength = 36
	key, err := uuid.Parse(text)
	if err != nil || len(text) != canonicalLength || key == uuid.Nil {
		return uuid.Nil, requestError{http.StatusBadRequest,
			"Idempotency-Key is not a UUID like 0190a6f0-7b7e-7c3a-9d2e-4b5f6a7c8d9e"}
	}
	return key, nil
}

// redirect sends no body, unlike http.Redirect.
func (h *voteHandler) redirect(w http.ResponseWriter, path string) {
	w.Header().Set("Location", h.base+path)
	w.WriteHeader(http.StatusSeeOther)
}

// requestError is an error in a request: the status and the text of its answer.
type requestError struct {
	status int
	text   string
}

func (e requestError) Error() string { return e.text }

type accepted struct {
	Status  string `json:"status"`
	ID      string `json:"id"`
	TraceID string `json:"trace_id"`
	Entry   string `json:"entry"`
}

// answerError is the one place that turns an error into an answer. A failure of Redis is logged, not sent.
func answerError(w http.ResponseWriter, r *http.Request, err error) {
	if bad, ok := errors.AsType[requestError](err); ok {
		web.Problem(w, bad.status, bad.text)
		return
	}
	if errors.Is(err, ballot.ErrUnknownChoice) {
		web.Problem(w, http.StatusBadRequest, ballot.ErrUnknownChoice.Error())
		return
	}
	logRefusal(r.Context(), err)
	w.Header().Set("Retry-After", web.RetrySoon)
	web.Problem(w, http.StatusServiceUnavailable, "Votes can't be taken right now; please try again")
}

// logRefusal logs breaker-open and overload rejections at debug: they come in floods, and the breaker logs its change.
func logRefusal(ctx context.Context, err error) {
	level := slog.LevelWarn
	if resilience.Refused(err) || errors.Is(err, errOverloaded) {
		level = slog.LevelDebug
	}
	slog.Log(ctx, level, "vote refused", "error", err)
}

// routes is the public face. The protections lie inside the mux's patterns, where the traces know the route.
func routes(
	page *page, queue publisher, front *web.Front, spans http.Handler, health *lifecycle.Health,
) http.Handler {
	votes := &voteHandler{queue: queue, traceID: telemetry.TraceID, limit: front.Limit, base: page.assets.Base}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", page.serveVote)
	page.assets.Register(mux)
	mux.Handle("POST /vote", front.Origins.Handler(votes, http.HandlerFunc(page.refuseOrigin)))
	mux.Handle("POST /spans", front.OwnOrigin(spans))
	mux.HandleFunc("GET /healthz", health.Live)
	mux.HandleFunc("GET /readyz", health.Ready)
	return web.SecurityHeaders(web.Compress(mux))
}
