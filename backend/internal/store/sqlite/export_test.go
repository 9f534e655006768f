package sqlite

import "context"

// OpenLimited opens a store whose file may grow to a number of pages: what a full
// disk does to it, at a place of the test's choice.
func OpenLimited(ctx context.Context, config Config, pages string) (*Store, error) {
	return openWith(ctx, config, "max_page_count("+pages+")")
}
