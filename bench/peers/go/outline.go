package main

// What parsers take depends on this alone.
const deepest = 1024

// A double has at most so many digits before its point, and an exponent of two digits is always within it. What is longer
// is looked at by the slow path.
const manyDigits = 300

// outline walks over a body that a decoder took: it returns the bytes of each object in the array `events` of the outermost
// object, and whether the body may hold what decoders pass over in unknown fields and other parsers refuse: a number beyond
// a double, half a surrogate pair, an escape that there is not, very deep nesting. It errs towards yes.
func outline(body []byte, values [][]byte) (_ [][]byte, suspicious bool) {
	var depth, start int
	var key []byte
	inEvents, repeated := false, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '"':
			start := i
			for i++; body[i] != '"'; i++ {
				if body[i] == '\\' {
					suspicious = suspicious || !isPlainEscape(body[i+1:])
					i++
				}
			}
			if depth == 1 {
				key = body[start : i+1]
			}
		case '{', '[':
			depth++
			suspicious = suspicious || depth > deepest
			if depth == 2 && c == '[' && string(key) == `"events"` {
				inEvents = true
				suspicious = suspicious || repeated // decoders leave of the first what the second does not say
				repeated = true
			} else if depth == 3 && inEvents {
				start = i
			}
		case '}', ']':
			depth--
			if depth == 2 && inEvents {
				values = append(values, body[start:i+1])
			} else if depth == 1 {
				inEvents = false
			}
		case '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
			first := i
			for i+1 < len(body) && isDigit(body[i+1]) {
				i++
			}
			suspicious = suspicious || i-first >= manyDigits-1
		case 'e', 'E': // of a number, or of true and false
			j := i + 1
			if j < len(body) && body[j] == '+' {
				j++
			}
			suspicious = suspicious || (j+2 < len(body) && isDigit(body[j]) && isDigit(body[j+1]) && isDigit(body[j+2]))
		}
	}
	return values, suspicious
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

// isPlainEscape reports whether what follows a backslash is an escape, and not of a surrogate.
func isPlainEscape(text []byte) bool {
	switch text[0] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return true
	case 'u':
		return len(text) > 5 && (text[1]|0x20 != 'd' || text[2] < '8') && isHex(text[1]) && isHex(text[2]) && isHex(text[3]) && isHex(text[4])
	}
	return false
}

func isHex(c byte) bool { return isDigit(c) || ('a' <= c|0x20 && c|0x20 <= 'f') }

// endOfString returns where the string that begins at start ends. Most are short: a call that looks at many bytes at once
// costs more than it saves.
func endOfString(data []byte, start int) int {
	for end := start + 1; ; end++ {
		switch data[end] {
		case '"':
			return end
		case '\\':
			end++
		}
	}
}
