package window

import (
	"slices"
	"time"
)

// The years that an expression can name, as in CodePipeline.
const (
	firstYear = 1970
	lastYear  = 2199
)

// set holds small numbers.
type set uint64

func (s set) has(n int) bool { return n >= 0 && n < 64 && s&(1<<n) != 0 }

func (s *set) add(n int) { *s |= 1 << n }

// holds tells whether all numbers from least to most are in the set.
func (s set) holds(least, most int) bool {
	for n := least; n <= most; n++ {
		if !s.has(n) {
			return false
		}
	}
	return true
}

// years holds years from firstYear to lastYear.
type years [lastYear - firstYear + 1]bool

func (y *years) has(year int) bool {
	return year >= firstYear && year <= lastYear && y[year-firstYear]
}

func (y *years) add(year int) { y[year-firstYear] = true }

// next returns the first year after the given one, or -1.
func (y *years) next(year int) int {
	for year = max(year+1, firstYear); year <= lastYear; year++ {
		if y.has(year) {
			return year
		}
	}
	return -1
}

// monthDays is the field for the days of a month.
type monthDays struct {
	numbers set
	// beforeLast holds the distances to the last day: 0 for L, 3 for L-3.
	beforeLast set
	// lastWeekday is LW: the last day of the month from Monday to Friday.
	lastWeekday bool
	// nearest holds days whose nearest day from Monday to Friday is meant: 15W.
	nearest set
}

func (d *monthDays) all() bool { return d.numbers.holds(1, 31) }

func (d *monthDays) has(year int, month time.Month, day int) bool {
	if d.numbers.has(day) {
		return true
	}
	if d.beforeLast == 0 && !d.lastWeekday && d.nearest == 0 {
		return false
	}
	last := lastDay(year, month)
	if d.beforeLast.has(last - day) {
		return true
	}
	if d.lastWeekday && day == nearestWeekday(year, month, last, last) {
		return true
	}
	// A weekday is nearest to itself or to a day at most two away.
	for n := max(day-2, 1); n <= min(day+2, last); n++ {
		if d.nearest.has(n) && nearestWeekday(year, month, n, last) == day {
			return true
		}
	}
	return false
}

// nearestWeekday returns the day from Monday to Friday that is nearest to a day,
// without leaving the month.
func nearestWeekday(year int, month time.Month, day, last int) int {
	switch time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday() {
	case time.Saturday:
		if day == 1 {
			return 3
		}
		return day - 1
	case time.Sunday:
		if day == last {
			return day - 2
		}
		return day + 1
	default:
		return day
	}
}

func lastDay(year int, month time.Month) int {
	return time.Date(year, month+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// weekdays is the field for the days of a week, Sunday being 1.
type weekdays struct {
	numbers set
	// last holds the days whose last in the month is meant: 6L.
	last set
	// nth holds the days of which one in the month is meant: 6#3.
	nth []nthWeekday
}

type nthWeekday struct{ day, n int }

func (d *weekdays) all() bool { return d.numbers.holds(1, 7) }

func (d *weekdays) has(year int, month time.Month, day int) bool {
	if d.all() {
		return true
	}
	number := int(time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Weekday()) + 1
	return d.numbers.has(number) ||
		d.last.has(number) && day > lastDay(year, month)-7 ||
		slices.Contains(d.nth, nthWeekday{day: number, n: (day-1)/7 + 1})
}
