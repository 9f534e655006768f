package secret

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"unicode/utf16"
)

// forms returns what a secret may look like in a text: as it is, line by line, and as
// programs encode it. They may repeat.
func forms(secret string) []string {
	// Programs drop the white space at its ends, and what is left is in all forms of the whole.
	whole := strings.TrimSpace(secret)
	if whole == "" {
		return []string{secret}
	}
	all := append(escaped(whole), whole)
	all = append(all, encoded(whole)...)
	if !strings.ContainsAny(whole, "\r\n") {
		return all
	}
	for line := range strings.FieldsFuncSeq(whole, func(r rune) bool { return r == '\n' || r == '\r' }) {
		if line = strings.TrimSpace(line); len(line) >= MinLength {
			all = append(all, line)
			all = append(all, escaped(line)...)
		}
	}
	return all
}

// maxBroken is the longest secret that is looked for in lines of base64 that begin before it,
// which takes 200 times its length in memory. Longer ones are keys and files.
const maxBroken = 1 << 10

// encoded returns the base64 of a secret within that of any text around it: three
// alignments, in the alphabets of files and of URLs. Only the characters that the secret
// alone decides are part of it, and the last one of a text that ends with the secret.
func encoded(secret string) []string {
	var all []string
	for before := range 3 {
		padded := make([]byte, before+len(secret))
		copy(padded[before:], secret)
		from, to := (8*before+5)/6, 8*len(padded)/6
		standard := base64.RawStdEncoding.EncodeToString(padded)[from:]
		forURLs := base64.RawURLEncoding.EncodeToString(padded)[from:]
		all = append(all, standard[:to-from], forURLs[:to-from], standard, forURLs)
		if before == 0 {
			// Programs break lines of base64: base64 after 76 characters, OpenSSL after 64.
			for _, width := range []int{64, 76} {
				for at := 0; len(standard) > width && at < len(standard); at += width {
					all = append(all, standard[at:min(at+width, len(standard))])
				}
			}
		}
		if len(secret) <= maxBroken {
			all = append(all, broken(standard, from)...)
		}
	}
	return all
}

// broken returns what lines of base64 may hold of a secret that begins anywhere in a text,
// such as user:token. The lines end after a multiple of 4 characters; from is the place of
// the secret's first one in such a group.
func broken(encoded string, from int) []string {
	const shortest, longest, group = 64, 76, 4
	var all []string
	for at := (group - from%group) % group; at < len(encoded); at += group {
		if at <= longest {
			all = append(all, encoded[:at]+"\n")
		}
		if len(encoded)-at <= longest {
			all = append(all, "\n"+encoded[at:])
		}
		// Windows of the shortest line cover longer ones.
		if at+shortest <= len(encoded) {
			all = append(all, encoded[at:at+shortest])
		}
	}
	return all
}

// Characters that encoders of URLs leave as they are, besides letters and digits.
const (
	// unreserved is what RFC 3986 leaves, as curl and Go do in queries.
	unreserved = "-_.~"
	// ofPaths is what Go leaves in paths.
	ofPaths = unreserved + "$&+=:@"
	// ofScripts is what encodeURIComponent leaves.
	ofScripts = unreserved + "!'()*"
	// ofPython is what quote leaves.
	ofPython = unreserved + "/"
)

// escaped returns the secret as URLs, JSON and shells write it. Those that equal it are
// left out.
func escaped(secret string) []string {
	var all []string
	add := func(form string) {
		if form != secret {
			all = append(all, form)
		}
	}
	for _, safe := range []string{unreserved, ofPaths, ofScripts, ofPython} {
		for _, digits := range []string{"0123456789ABCDEF", "0123456789abcdef"} {
			add(percent(secret, safe, digits))
			add(strings.ReplaceAll(percent(secret, safe, digits), "%20", "+"))
		}
	}
	var plain strings.Builder
	encoder := json.NewEncoder(&plain)
	encoder.SetEscapeHTML(false)
	// A text always encodes.
	_ = encoder.Encode(secret)
	quoted := strings.Trim(plain.String(), "\n")
	quoted = quoted[1 : len(quoted)-1]
	add(quoted)
	add(strings.NewReplacer("<", `\u003c`, ">", `\u003e`, "&", `\u0026`).Replace(quoted))
	add(strings.ReplaceAll(quoted, "/", `\/`))
	add(ascii(quoted))
	// As a shell that traces prints it within single quotes.
	add(strings.ReplaceAll(secret, "'", `'\''`))
	return all
}

func percent(secret, safe, digits string) string {
	var out strings.Builder
	for i := range len(secret) {
		b := secret[i]
		if 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' || strings.IndexByte(safe, b) >= 0 {
			out.WriteByte(b)
			continue
		}
		out.Write([]byte{'%', digits[b>>4], digits[b&15]})
	}
	return out.String()
}

// ascii writes what is beyond ASCII as JSON's escapes.
func ascii(quoted string) string {
	const digits = "0123456789abcdef"
	var out strings.Builder
	for _, r := range quoted {
		if r < 0x80 {
			out.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			out.WriteString(`\u`)
			for shift := 12; shift >= 0; shift -= 4 {
				out.WriteByte(digits[unit>>shift&15])
			}
		}
	}
	return out.String()
}
