package window

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
	// The zones must be the same on every machine that plans or runs a pipeline,
	// also where the system has no database of them, as in small containers.
	_ "time/tzdata"
)

var (
	offsetPattern = regexp.MustCompile(`^UTC([+-])(\d\d):(\d\d)$`)
	regionPattern = regexp.MustCompile(`^[A-Z][A-Za-z_-]*(/[A-Z][A-Za-z0-9_+-]*)+$`)
	// Some of the database's names have no region.
	shortPattern = regexp.MustCompile(`^[A-Z]{3,5}$`)
	// These are other ways to write an offset.
	looseOffset = regexp.MustCompile(`^(?i:UTC|GMT)?([+-])(\d\d?)(?::?(\d\d))?$`)
)

// maxOffset is Java's limit; no zone is further away.
const maxOffset = 18 * 60

// parseZone returns the zone of that name. The names are held against patterns
// first, since time.LoadLocation opens files by them and knows Local, which means
// something else on each machine.
func parseZone(name string) (*time.Location, error) {
	refuse := func() error {
		if offset := meantOffset(name); offset != "" {
			return fmt.Errorf("there is no time zone %q; write the offset as %s", name, offset)
		}
		return fmt.Errorf("there is no time zone %.100q; write it as Europe/Berlin (case matters), UTC, UTC+01:00, or an abbreviation such as CET", name)
	}
	if name == "" || name == "UTC" {
		return time.UTC, nil
	}
	if match := offsetPattern.FindStringSubmatch(name); match != nil {
		// The pattern leaves nothing but digits.
		hours, _ := strconv.Atoi(match[2])
		minutes, _ := strconv.Atoi(match[3])
		offset := hours*60 + minutes
		if minutes > 59 || offset > maxOffset {
			return nil, fmt.Errorf("the time zone %q is too far from UTC; use at most UTC+18:00 or UTC-18:00, with minutes up to 59", name)
		}
		if match[1] == "-" {
			offset = -offset
		}
		return time.FixedZone(name, offset*60), nil
	}
	if region, offset, ok := javaShortID(name); ok {
		if region == "" {
			return time.FixedZone(name, offset*60*60), nil
		}
		name = region
	}
	if !regionPattern.MatchString(name) && !shortPattern.MatchString(name) {
		return nil, refuse()
	}
	zone, err := time.LoadLocation(name)
	if err != nil {
		return nil, refuse()
	}
	return zone, nil
}

// meantOffset returns an offset as it has to be written, or nothing where the text
// is none.
func meantOffset(text string) string {
	match := looseOffset.FindStringSubmatch(text)
	if match == nil {
		return ""
	}
	return fmt.Sprintf("UTC%s%02s:%02s", match[1], match[2], match[3])
}

// javaShortID returns what an abbreviation means in Java, in which CodePipeline is
// written: a region, or an offset in hours without summer time.
func javaShortID(name string) (region string, offset int, ok bool) {
	switch name {
	case "EST":
		return "", -5, true
	case "MST":
		return "", -7, true
	case "HST":
		return "", -10, true
	}
	region, ok = map[string]string{
		"ACT": "Australia/Darwin",
		"AET": "Australia/Sydney",
		"AGT": "America/Argentina/Buenos_Aires",
		"ART": "Africa/Cairo",
		"AST": "America/Anchorage",
		"BET": "America/Sao_Paulo",
		"BST": "Asia/Dhaka",
		"CAT": "Africa/Harare",
		"CNT": "America/St_Johns",
		"CST": "America/Chicago",
		"CTT": "Asia/Shanghai",
		"EAT": "Africa/Addis_Ababa",
		"ECT": "Europe/Paris", //nolint:misspell // A zone, not "etc".
		"IET": "America/Indiana/Indianapolis",
		"IST": "Asia/Kolkata",
		"JST": "Asia/Tokyo",
		"MIT": "Pacific/Apia",
		"NET": "Asia/Yerevan",
		"NST": "Pacific/Auckland",
		"PLT": "Asia/Karachi",
		"PNT": "America/Phoenix",
		"PRT": "America/Puerto_Rico",
		"PST": "America/Los_Angeles",
		"SST": "Pacific/Guadalcanal",
		"VST": "Asia/Ho_Chi_Minh",
	}[name]
	return region, 0, ok
}
