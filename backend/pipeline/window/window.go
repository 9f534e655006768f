// Package window tells when a deployment window is open. A window is a cron
// expression in a time zone, in the words of CodePipeline's DeploymentWindow rule,
// whose guide repeats those of Quartz's CronExpression:
// https://docs.aws.amazon.com/codepipeline/latest/userguide/rule-reference-DeploymentWindow.html
// It reads no clock and knows nothing of pipelines.
package window

import (
	"math/bits"
	"time"
)

// Window is the set of the minutes that an expression matches by the wall clock
// of a zone. While the clock goes forward the hours that it leaves out match
// nothing; while it goes back the hours that it shows twice match twice. Years
// before 1970 and after 2199 are never inside. A Window may be used by several
// goroutines.
type Window struct {
	minutes set
	hours   set
	months  set
	years   years
	days    monthDays
	weekday weekdays
	zone    *time.Location
}

// maxOpen is how far ahead Until looks for the end of a window: a window that
// stays open longer has no end that anybody would wait for.
const maxOpen = 366 * 24 * time.Hour

// Contains tells whether the minute that the zone's clock shows at t is inside.
func (w *Window) Contains(t time.Time) bool {
	return w.inside(wallOf(t.In(w.zone)))
}

// Next returns the first moment at or after t that is inside: t itself, or the
// start of a later minute. It is false where the window never opens again, which
// is found out without trying every minute.
func (w *Window) Next(t time.Time) (time.Time, bool) {
	// A time.Duration cannot bridge more than 292 years.
	if first := time.Date(firstYear, time.January, 1, -18, 0, 0, 0, time.UTC); t.Before(first) {
		t = first
	}
	return w.search(t, time.Date(lastYear+1, time.January, 1, 18, 0, 0, 0, time.UTC), w.nextInside)
}

// Until returns the first moment at or after t that is outside: the end of the
// window that is open at t. It is the zero time where the window stays open for
// more than a year.
func (w *Window) Until(t time.Time) time.Time {
	end, _ := w.search(t, t.Add(maxOpen), w.nextOutside)
	return end
}

// search looks for the first moment from t on and before until whose wall time
// next finds. Between two changes of the zone's clock wall time is real time with
// an offset, so it goes from change to change, and neither skipped nor repeated
// hours need care.
func (w *Window) search(t, until time.Time, next func(from, end time.Time) (time.Time, bool)) (time.Time, bool) {
	for at := t.In(w.zone); at.Before(until); {
		_, change := at.ZoneBounds()
		if !change.IsZero() && !change.After(at) {
			// Go takes years that follow from a rule to have 365 days, so on the last
			// of 366 the bound lies behind. It is right again on the day after.
			change = at.Truncate(24 * time.Hour).Add(24 * time.Hour)
		}
		if change.IsZero() || change.After(until) {
			change = until.In(w.zone)
		}
		from := wallOf(at)
		if wall, found := next(from, from.Add(change.Sub(at))); found {
			// The first minute may have begun before.
			return at.Add(max(wall.Sub(from), 0)), true
		}
		at = change
	}
	return time.Time{}, false
}

// wallOf returns what the clock shows at t, as a time in UTC, where every day has
// 24 hours.
func wallOf(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

func (w *Window) inside(wall time.Time) bool {
	return w.minutes.has(wall.Minute()) && w.hours.has(wall.Hour()) && w.insideDay(wall)
}

func (w *Window) insideDay(wall time.Time) bool {
	year, month, day := wall.Date()
	return w.years.has(year) && w.months.has(int(month)) &&
		w.days.has(year, month, day) && w.weekday.has(year, month, day)
}

// nextInside returns the first minute inside among those that are not over at
// from and begin before end.
func (w *Window) nextInside(from, end time.Time) (time.Time, bool) {
	for wall := from.Truncate(time.Minute); wall.Before(end); {
		year, month, day := wall.Date()
		switch {
		case !w.years.has(year):
			next := w.years.next(year)
			if next < 0 {
				return time.Time{}, false
			}
			wall = time.Date(next, time.January, 1, 0, 0, 0, 0, time.UTC)
			continue
		case !w.months.has(int(month)):
			wall = time.Date(year, month+1, 1, 0, 0, 0, 0, time.UTC)
			continue
		case w.days.has(year, month, day) && w.weekday.has(year, month, day):
			if minute := w.firstMinute(wall.Hour(), wall.Minute()); minute >= 0 {
				wall = time.Date(year, month, day, 0, minute, 0, 0, time.UTC)
				return wall, wall.Before(end)
			}
		}
		wall = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}, false
}

// firstMinute returns the first minute of a day from the given one on that a day
// of the window has, or -1.
func (w *Window) firstMinute(hour, minute int) int {
	for ; hour < 24; hour++ {
		if w.hours.has(hour) {
			if left := w.minutes >> minute; left != 0 {
				return hour*60 + minute + bits.TrailingZeros64(uint64(left))
			}
		}
		minute = 0
	}
	return -1
}

// nextOutside is nextInside for minutes that are outside.
func (w *Window) nextOutside(from, end time.Time) (time.Time, bool) {
	allDay := w.minutes.holds(0, 59) && w.hours.holds(0, 23)
	for wall := from.Truncate(time.Minute); wall.Before(end); {
		if !w.insideDay(wall) {
			return wall, true
		}
		year, month, day := wall.Date()
		if !allDay {
			for minute := wall.Hour()*60 + wall.Minute(); minute < 24*60; minute++ {
				if !w.hours.has(minute/60) || !w.minutes.has(minute%60) {
					wall = time.Date(year, month, day, 0, minute, 0, 0, time.UTC)
					return wall, wall.Before(end)
				}
			}
		}
		wall = time.Date(year, month, day+1, 0, 0, 0, 0, time.UTC)
	}
	return time.Time{}, false
}
