//go:build sonic

package main

import "github.com/bytedance/sonic"

// As strict as encoding/json about what stands in a string; everything else as fast as sonic goes. Strings are slices of the
// body, which lives as long as they do.
var decoder = sonic.Config{ValidateString: true, CaseSensitive: true}.Froze()

func init() {
	if sonic.APIKind != sonic.UseSonicJSON {
		panic("this version of sonic does not know this version of Go, and would use encoding/json")
	}
}

// decode is the fast path's decoder.
func decode(data []byte, into any) error { return decoder.Unmarshal(data, into) }

// raw is JSON as it stands in a body, and no copy of it.
type raw = sonic.NoCopyRawMessage
