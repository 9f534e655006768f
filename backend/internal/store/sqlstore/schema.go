package sqlstore

import (
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
)

// NewestVersion returns the version that an engine's migrations, in goose's format, bring
// its schema to: all engines number alike.
func NewestVersion(migrations fs.FS) (int64, error) {
	names, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		return 0, err
	}
	if len(names) == 0 {
		return 0, fmt.Errorf("there are no migrations: %w", fs.ErrNotExist)
	}
	return goose.NumericComponent(names[len(names)-1])
}
