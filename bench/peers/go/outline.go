package main

// A double has at most so many digits before its point, and an exponent of two digits is always within it. What is longer
// is looked at by the slow path.
const manyDigits = 300

// outline walks over a body that was found to be valid JSON: it returns the bytes of each object in the array `events` of
// the outermost object, and whether any number may be beyond a double. Decoders skip unknown fields without asking that.
func outline(body []byte, values [][]byte) (_ [][]byte, suspicious bool) {
	var depth, start int
	var key []byte
	inEvents := false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; c {
		case '"':
			end := endOfString(body, i)
			if depth == 1 {
				key = body[i : end+1]
			}
			i = end
		case '{', '[':
			depth++
			if depth == 2 && c == '[' && string(key) == `"events"` {
				inEvents = true
				values = values[:0] // a name that is repeated: the last counts
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
