package main

import (
	"bufio"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

const (
	trackPath    = "/v1/api/analytics/ecommerce/track"
	batchPath    = "/v1/api/analytics/ecommerce/batch"
	maxBodyBytes = 1 << 20
	idBytes      = 16
)

// refusal is a request that is not accepted.
type refusal struct {
	status  int
	code    string
	message string
}

var jsonType = []string{"application/json"}

// gateway answers requests; safe for use by several goroutines.
type gateway struct {
	log *eventLog
	key string

	mu     sync.Mutex
	random *bufio.Reader // the system is asked for many ids at once
}

func newGateway(log *eventLog, key string) *gateway {
	return &gateway{log: log, key: key, random: bufio.NewReaderSize(rand.Reader, idBytes*256)}
}

func (g *gateway) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	request := g.requestID()
	answer, refused := g.answer(r, request)
	header := w.Header()
	header["Content-Type"] = jsonType
	header["X-Request-Id"] = []string{request}
	if refused != nil {
		w.WriteHeader(refused.status)
		answer = encode(map[string]string{"error": refused.message, "code": refused.code})
	}
	// A sender that is gone has no use for the answer.
	_, _ = w.Write(answer)
}

func (g *gateway) answer(r *http.Request, request string) ([]byte, *refusal) {
	var read func([]byte) (events, *refusal)
	switch r.URL.Path {
	case trackPath:
		read = readTrack
	case batchPath:
		read = readBatch
	default:
		return nil, &refusal{404, "NOT_FOUND", "Not found"}
	}
	if r.Method != http.MethodPost {
		return nil, &refusal{405, "METHOD_NOT_ALLOWED", "Method not allowed"}
	}
	key, known := headerKey(r.Header)
	if known {
		if refused := g.identify(key); refused != nil {
			return nil, refused
		}
	}
	body, refused := readBody(r)
	if refused != nil {
		return nil, refused
	}
	found, refused := read(body)
	if refused != nil {
		return nil, refused
	}
	if !known {
		if refused := g.identify(found.key); refused != nil {
			return nil, refused
		}
	}
	if err := g.log.publish(found, request); err != nil {
		return nil, &refusal{503, "NOT_DURABLE", "Events could not be stored durably. Please try again later."}
	}
	if r.URL.Path == trackPath {
		for _, each := range found.refused {
			if each.tooLarge {
				return nil, &refusal{413, "TOO_LARGE", each.reason}
			}
			return nil, &refusal{400, "INVALID_EVENT", each.reason}
		}
		return []byte(`{"ok":true}`), nil
	}
	if len(found.refused) == 0 {
		answer := append(make([]byte, 0, 32), `{"ok":true,"accepted":`...)
		return append(strconv.AppendInt(answer, int64(len(found.good)), 10), '}'), nil
	}
	faults := make([]string, len(found.refused))
	for i, each := range found.refused {
		faults[i] = "events[" + strconv.Itoa(each.place) + "]: " + each.reason
	}
	return encode(struct {
		OK       bool     `json:"ok"`
		Accepted int      `json:"accepted"`
		Errors   []string `json:"errors"`
	}{true, len(found.good), faults}), nil
}

func (g *gateway) identify(key string) *refusal {
	switch key {
	case g.key:
		return nil
	case "":
		return &refusal{401, "INVALID_KEY", "API key is required"}
	}
	return &refusal{401, "INVALID_KEY", "Invalid API key"}
}

func (g *gateway) requestID() string {
	var id [idBytes]byte
	g.mu.Lock()
	defer g.mu.Unlock()
	// crypto/rand never fails.
	_, _ = io.ReadFull(g.random, id[:])
	return hex.EncodeToString(id[:])
}

// headerKey returns the key that the headers carry, X-API-Key before a bearer token, and whether there is one.
func headerKey(header http.Header) (string, bool) {
	if key := header.Get("X-Api-Key"); key != "" {
		return key, true
	}
	const bearer = "bearer "
	authorization := header.Get("Authorization")
	if len(authorization) >= len(bearer) && strings.EqualFold(authorization[:len(bearer)], bearer) {
		return strings.TrimSpace(authorization[len(bearer):]), true
	}
	return "", false
}

// readBody returns the body, at most maxBodyBytes of it, in memory of its own: records keep slices of it.
func readBody(r *http.Request) ([]byte, *refusal) {
	if declared := r.Header.Get("Content-Type"); declared != "" && declared != jsonType[0] {
		kind, _, err := mime.ParseMediaType(declared)
		if err != nil || (kind != jsonType[0] && kind != "text/plain") {
			return nil, &refusal{415, "UNSUPPORTED_MEDIA_TYPE", "Content-Type must be application/json or text/plain"}
		}
	}
	if r.Header.Get("Content-Encoding") != "" {
		return nil, &refusal{400, "BAD_ENCODING", "this peer takes no encoded bodies"}
	}
	tooLarge := &refusal{413, "TOO_LARGE", "body is larger than " + strconv.Itoa(maxBodyBytes) + " bytes"}
	if r.ContentLength > maxBodyBytes {
		return nil, tooLarge
	}
	var body []byte
	var err error
	if r.ContentLength >= 0 {
		body = make([]byte, r.ContentLength)
		_, err = io.ReadFull(r.Body, body)
	} else {
		body, err = io.ReadAll(io.LimitReader(r.Body, maxBodyBytes+1))
	}
	if err != nil {
		return nil, &refusal{400, "BAD_REQUEST", "body could not be read to its end"}
	}
	if len(body) > maxBodyBytes {
		return nil, tooLarge
	}
	return body, nil
}

// encode returns v as JSON, text as it stands.
func encode(v any) []byte {
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(v); err != nil {
		panic(err) // texts and numbers of ours always encode
	}
	return []byte(strings.TrimSuffix(out.String(), "\n"))
}
