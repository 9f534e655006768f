package definition

import (
	"strconv"
	"time"
)

// Secret is a value of an account that nobody reads.
type Secret struct {
	Account     string
	Name        string
	Description string
	// Sealed is the value as package sealer sealed it for the secret's resource name.
	Sealed []byte
	// Version counts the values, from 1. ValueAt is when the value was set.
	Version int64
	ValueAt time.Time
	// Revision changes with every write.
	Revision  int64
	CreatedAt time.Time
	UpdatedAt time.Time
}

// Etag returns the etag that a write of the secret must match. It changes with every write,
// and is another one if a secret of the same name is created later.
func (s *Secret) Etag() string {
	return strconv.FormatInt(s.Revision, 10) + "-" + strconv.FormatInt(s.UpdatedAt.UnixMicro(), 36)
}
