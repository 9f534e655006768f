package rpc

import (
	"encoding/base64"
	"strconv"

	"github.com/headrace/terraform-provider-headrace/backend/internal/service"
	"github.com/headrace/terraform-provider-headrace/backend/pipeline"
)

// named reads the resource name that is in a field of a request.
func named[N any](parse func(string) (N, error), name string, field ...string) (N, error) {
	parsed, err := parse(name)
	if err != nil {
		return parsed, invalidField(err.Error(), field...)
	}
	return parsed, nil
}

// invalidField refuses one field of a request.
func invalidField(message string, field ...string) error {
	var path pipeline.Path
	for _, f := range field {
		path = path.Field(f)
	}
	return service.Invalid("", pipeline.Violation{Path: path, Message: message})
}

// Sizes of pages where a request names none.
const (
	defaultPage           = 100
	defaultExecutionsPage = 50
)

func pageSize(asked int32, size int) int {
	if asked > 0 {
		return int(asked)
	}
	return size
}

// Page tokens hold the key of the last object of a page. They are opaque to
// callers so that this can change.

func pageToken(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

func pageKey(token string) (string, error) {
	key, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return "", invalidField("invalid page token: pass next_page_token back unchanged", "page_token")
	}
	return string(key), nil
}

// pageNumber is pageKey for lists that go by number; 0 starts at the first.
func pageNumber(token string) (int64, error) {
	key, err := pageKey(token)
	if err != nil || key == "" {
		return 0, err
	}
	number, err := strconv.ParseInt(key, 10, 64)
	if err != nil || number < 1 {
		return 0, invalidField("this page token belongs to another list: pass next_page_token back unchanged", "page_token")
	}
	return number, nil
}
