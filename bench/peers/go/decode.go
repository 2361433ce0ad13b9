package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	maxBatchEvents = 100
	maxEventBytes  = 524288
	eventsRequired = "events array is required and must not be empty"
)

// accepted is a good event: its place in the request, its bytes as sent, its identity.
type accepted struct {
	place       int
	value       []byte
	kind        string
	key         string
	transaction string
}

// rejected is a faulty event; its bytes are nil when it is too large to keep.
type rejected struct {
	place    int
	value    []byte
	reason   string
	tooLarge bool
}

// events are a request's events, judged; key is what the body carried.
type events struct {
	good    []accepted
	refused []rejected
	key     string
}

type typedBatch struct {
	Events []event `json:"events"`
	APIKey raw     `json:"apiKey"`
}

// readBatch judges a batch: in one typed decode when all is good, else event by event, slowly and in words.
func readBatch(body []byte) (events, *refusal) {
	if refused := requireUTF8(body); refused != nil {
		return events{}, refused
	}
	var typed typedBatch
	if len(body) <= maxEventBytes && decode(body, &typed) == nil {
		if found, ok := allGood(&typed, body); ok {
			return found, nil
		}
	}
	return judgeBatch(body)
}

func allGood(typed *typedBatch, body []byte) (events, bool) {
	count := len(typed.Events)
	if count == 0 || count > maxBatchEvents {
		return events{}, false
	}
	for i := range typed.Events {
		if !typed.Events[i].good() {
			return events{}, false
		}
	}
	values, suspicious := outline(body, make([][]byte, 0, count))
	if suspicious || len(values) != count {
		return events{}, false
	}
	good := make([]accepted, count)
	for i := range good {
		good[i] = identified(i, values[i], &typed.Events[i])
	}
	return events{good: good, key: bodyKey(typed.APIKey)}, true
}

func judgeBatch(body []byte) (events, *refusal) {
	if refused := requireJSON(body); refused != nil {
		return events{}, refused
	}
	var envelope fields
	var values []json.RawMessage
	err := json.Unmarshal(body, &envelope)
	if list, given := envelope["events"]; given {
		err = json.Unmarshal(list, &values)
	}
	if err != nil {
		if refused := requireNumbers(body); refused != nil {
			return events{}, refused
		}
	}
	if len(values) == 0 {
		return events{}, &refusal{400, "INVALID_EVENT", eventsRequired}
	}
	if len(values) > maxBatchEvents {
		return events{}, &refusal{400, "TOO_MANY_EVENTS", fmt.Sprintf("Maximum %d events per batch", maxBatchEvents)}
	}
	found := events{key: bodyKey(envelope["apiKey"])}
	for i, value := range values {
		found.judge(i, value)
	}
	return found, nil
}

// readTrack judges one event, without the key that it may carry.
func readTrack(body []byte) (events, *refusal) {
	if refused := requireUTF8(body); refused != nil {
		return events{}, refused
	}
	var typed event
	if len(body) <= maxEventBytes && decode(body, &typed) == nil && typed.good() && typed.APIKey == nil {
		if _, suspicious := outline(body, nil); !suspicious {
			return events{good: []accepted{identified(0, body, &typed)}}, nil
		}
	}
	return judgeTrack(body)
}

func judgeTrack(body []byte) (events, *refusal) {
	if refused := requireJSON(body); refused != nil {
		return events{}, refused
	}
	var found events
	var named fields
	if json.Unmarshal(body, &named) != nil || named == nil {
		if refused := requireNumbers(body); refused != nil {
			return events{}, refused
		}
		found.refuse(0, body, "event must be an object")
		return found, nil
	}
	if key, carried := named["apiKey"]; carried {
		found.key = bodyKey(key)
		body = withoutKey(body)
	}
	found.judge(0, body)
	return found, nil
}

func (e *events) judge(place int, value []byte) {
	if len(value) > maxEventBytes {
		reason := fmt.Sprintf("event is larger than %d bytes", maxEventBytes)
		e.refused = append(e.refused, rejected{place, nil, reason, true})
		return
	}
	if reason := fault(value); reason != "" {
		e.refuse(place, value, reason)
		return
	}
	var named fields
	if err := json.Unmarshal(value, &named); err != nil {
		panic(err) // it was decoded before
	}
	known := event{
		EventType:     named.text("event_type"),
		TransactionID: named.text("transaction_id"),
		UserID:        named.text("user_id"),
		CartID:        named.text("cart_id"),
	}
	e.good = append(e.good, identified(place, value, &known))
}

func (e *events) refuse(place int, value []byte, reason string) {
	e.refused = append(e.refused, rejected{place, value, reason, false})
}

func identified(place int, value []byte, e *event) accepted {
	key := e.UserID
	if key == "" {
		key = e.CartID
	}
	if key == "" {
		key = e.TransactionID
	}
	return accepted{place, value, e.EventType, key, e.TransactionID}
}

// bodyKey returns the key in a body's apiKey, empty without one.
func bodyKey(value []byte) string {
	var key string
	if len(value) == 0 || json.Unmarshal(value, &key) != nil {
		return ""
	}
	return key
}

// withoutKey returns an object, which was found valid, without its field apiKey: the others in their order, each value as sent.
func withoutKey(body []byte) []byte {
	decoder := json.NewDecoder(bytes.NewReader(body))
	mustToken(decoder)
	out := []byte{'{'}
	for decoder.More() {
		name, _ := mustToken(decoder).(string)
		var value json.RawMessage
		if err := decoder.Decode(&value); err != nil {
			panic(err) // it was decoded before
		}
		if name == "apiKey" {
			continue
		}
		if len(out) > 1 {
			out = append(out, ',')
		}
		out = append(append(append(out, encode(name)...), ':'), value...)
	}
	return append(out, '}')
}

func mustToken(decoder *json.Decoder) json.Token {
	token, err := decoder.Token()
	if err != nil {
		panic(err) // it was decoded before
	}
	return token
}

func requireUTF8(body []byte) *refusal {
	if utf8.Valid(body) {
		return nil
	}
	at := 0
	for at < len(body) {
		r, size := utf8.DecodeRune(body[at:])
		if r == utf8.RuneError && size == 1 {
			break
		}
		at += size
	}
	return &refusal{400, "INVALID_JSON", fmt.Sprintf("body is not valid UTF-8 at byte %d", at)}
}

// requireJSON says what is wrong with a body that no parser takes: encoding/json is mild about surrogates and nesting.
func requireJSON(body []byte) *refusal {
	if len(body) == 0 {
		return &refusal{400, "INVALID_JSON", "body is empty"}
	}
	switch {
	case !json.Valid(body):
		return requireNumbers(body)
	case nesting(body) > deepest:
		return notJSON(fmt.Sprintf("nested deeper than %d", deepest))
	case hasLoneSurrogate(body):
		return notJSON("half a surrogate pair")
	}
	return nil
}

// requireNumbers says what is wrong when not everything in a body can be read; that is to say, when it is JSON, a number
// beyond a double.
func requireNumbers(body []byte) *refusal {
	var whole any
	if err := json.Unmarshal(body, &whole); err != nil {
		return notJSON(strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

func notJSON(why string) *refusal {
	return &refusal{400, "INVALID_JSON", "body is not valid JSON: " + why}
}

// nesting returns how deep the arrays and objects of valid JSON go.
func nesting(body []byte) (deep int) {
	depth := 0
	for i := 0; i < len(body); i++ {
		switch body[i] {
		case '"':
			i = endOfString(body, i)
		case '{', '[':
			depth++
			deep = max(deep, depth)
		case '}', ']':
			depth--
		}
	}
	return deep
}

// hasLoneSurrogate looks at the escapes of valid JSON.
func hasLoneSurrogate(body []byte) bool {
	high := false // the escape before, which must be followed by a low one at once
	for i := 0; i < len(body); i++ {
		var unit uint64
		if body[i] == '\\' {
			if i++; body[i] == 'u' {
				unit, _ = strconv.ParseUint(string(body[i+1:i+5]), 16, 16) // valid JSON has four digits there
				i += 4
			}
		}
		isLow := 0xDC00 <= unit && unit <= 0xDFFF
		if high != isLow {
			return true
		}
		high = 0xD800 <= unit && unit < 0xDC00
	}
	return high
}
