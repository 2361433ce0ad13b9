//go:build !sonic

package main

import "encoding/json"

// decode is the fast path's decoder.
func decode(data []byte, into any) error { return json.Unmarshal(data, into) }

// raw is JSON as it stands in a body.
type raw = json.RawMessage
