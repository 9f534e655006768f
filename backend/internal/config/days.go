package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/pflag"
)

// Days is a duration that can be given in days.
type Days time.Duration

var _ pflag.Value = (*Days)(nil)

const day = 24 * time.Hour

// String implements pflag.Value.
func (d *Days) String() string {
	if length := time.Duration(*d); length == 0 || length%day != 0 {
		return length.String()
	}
	return strconv.FormatInt(int64(time.Duration(*d)/day), 10) + "d"
}

// Set implements pflag.Value.
func (d *Days) Set(text string) error {
	if number, ok := strings.CutSuffix(text, "d"); ok {
		n, err := strconv.ParseInt(number, 10, 64)
		if err != nil || n < 0 || n > math.MaxInt64/int64(day) {
			return fmt.Errorf("%q is not a number of days, as 90d", text)
		}
		*d = Days(time.Duration(n) * day)
		return nil
	}
	length, err := time.ParseDuration(text)
	if err != nil {
		return fmt.Errorf("%q is not a time, as 90d or 36h", text)
	}
	*d = Days(length)
	return nil
}

// Type implements pflag.Value.
func (d *Days) Type() string { return "duration" }
