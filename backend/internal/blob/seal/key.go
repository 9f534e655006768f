package seal

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/tink-crypto/tink-go/v2/streamingaead/subtle"
	"gocloud.dev/secrets"
	_ "gocloud.dev/secrets/awskms" // For awskms:// URLs.
	"gocloud.dev/secrets/localsecrets"

	"github.com/headrace/terraform-provider-headrace/backend/internal/blob"
	"github.com/headrace/terraform-provider-headrace/backend/internal/durable"
)

// errNoKeyURL keeps what was given out of the text: it may be a key.
var errNoKeyURL = errors.New("it names no key; use file:///path/of/a/key/file or awskms://key?region=name")

// CheckKeyURL tells whether a text can name a key, without looking.
func CheckKeyURL(text string) error {
	_, _, err := parseKeyURL(text)
	return err
}

// KeyFile returns the path of a key that is a file, empty for others.
func KeyFile(text string) string {
	path, _, err := parseKeyURL(text)
	if err != nil {
		return ""
	}
	return path
}

func parseKeyURL(text string) (path string, kms bool, err error) {
	parsed, err := url.Parse(text)
	if err != nil {
		return "", false, errNoKeyURL
	}
	switch parsed.Scheme {
	case "file":
		if parsed.Host != "" || parsed.RawQuery != "" || !filepath.IsAbs(parsed.Path) {
			return "", false, errNoKeyURL
		}
		return filepath.Clean(parsed.Path), false, nil
	case "awskms":
		return "", true, nil
	}
	return "", false, errNoKeyURL
}

// NewKeyFile makes a file with a new key, which only its owner may read, and which is
// there whole or not at all. It replaces none.
func NewKeyFile(path string) error {
	return durable.Create(path, func(temporary string) error {
		key := make([]byte, keySize)
		// It never fails.
		_, _ = rand.Read(key)
		return os.WriteFile(temporary, []byte(base64.URLEncoding.EncodeToString(key)+"\n"), 0o600)
	})
}

// OpenKey opens the key of a URL: file:///path of a file that NewKeyFile made, or
// awskms://…?region=… of AWS KMS, which is not asked before it is used.
func OpenKey(ctx context.Context, text string) (*secrets.Keeper, error) {
	path, kms, err := parseKeyURL(text)
	if err != nil {
		return nil, err
	}
	if kms {
		keeper, err := secrets.OpenKeeper(ctx, text)
		if err != nil {
			return nil, blob.OpenFailed(text, err)
		}
		return keeper, nil
	}
	key, err := readKeyFile(path)
	if err != nil {
		return nil, err
	}
	return localsecrets.NewKeeper(key), nil
}

// OpenFileKeys returns keys that are one file alone, which NewKeyFile made: the file is the
// data key itself, and there is no ring. The id tells the file from others; it says
// nothing about the key.
func OpenFileKeys(path string) (keys *Keys, id string, err error) {
	key, err := readKeyFile(path)
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(append([]byte("headrace-key-file\x01"), key[:]...))
	number := binary.BigEndian.Uint32(sum[:])
	primitive, err := subtle.NewAESGCMHKDF(key[:], "SHA256", keySize, segmentSize, 0)
	if err != nil {
		return nil, "", err
	}
	return &Keys{current: &generation{primary: number, keys: map[uint32]*subtle.AESGCMHKDF{number: primitive}}},
		hex.EncodeToString(sum[:16]), nil
}

func readKeyFile(path string) (key [keySize]byte, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return key, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return key, fmt.Errorf("others may read the key file %s (mode %04o); close it with: chmod 600 %s", path, mode, path)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return key, err
	}
	if key, err = localsecrets.Base64Key(strings.TrimSpace(string(content))); err != nil {
		// Its words may hold what was read.
		return key, fmt.Errorf("%s is not a key file; create one with: headraced storage-key new FILE", path)
	}
	return key, nil
}
