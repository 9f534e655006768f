package trigger

import (
	"context"

	lru "github.com/hashicorp/golang-lru/v2"
)

// maxOpened bounds the secrets of webhooks that stay opened.
const maxOpened = 1024

// opened keeps what sealed secrets of webhooks open to, since each read of a webhook needs them.
// A secret that was retired is not in the store, and its value is not used again. A replaced
// secret is sealed differently.
type opened struct {
	opener Opener
	values *lru.Cache[openedKey, string]
}

type openedKey struct{ sealed, binding string }

func newOpened(opener Opener) opened {
	// The error is about the size.
	values, _ := lru.New[openedKey, string](maxOpened)
	return opened{opener, values}
}

// open returns the value of a sealed secret.
func (o opened) open(ctx context.Context, sealed []byte, binding string) (string, error) {
	key := openedKey{string(sealed), binding}
	if value, ok := o.values.Get(key); ok {
		return value, nil
	}
	plain, err := o.opener.Open(ctx, sealed, binding)
	if err != nil {
		return "", err
	}
	o.values.Add(key, string(plain))
	return string(plain), nil
}
