package window

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxExpression bounds the text of an expression in bytes; nobody could read a
// longer one.
const maxExpression = 1000

// Parse reads a cron expression and the zone whose clock it means. The fields are
// second, minute, hour, day of month, month, day of week and optionally the year:
//
//   - The second is always *: a window consists of whole minutes.
//   - Every other field takes numbers, names (JAN-DEC, SUN-SAT in any case), lists
//     with commas, ranges with -, and steps with /. Ranges other than of years may
//     wrap around, as FRI-MON and 22-6 do.
//   - In the day of month, L is the last day, L-3 the third before it, LW the last
//     from Monday to Friday, and 15W the one from Monday to Friday that is nearest
//     to the 15th within the month. A month without a 31st has no 31W either.
//   - In the day of week, 1 is Sunday, L is Saturday, 6L the last Friday of the
//     month and 6#3 its third Friday.
//   - One of the two fields for days is ?, or * with the same meaning. Which days
//     would be meant by two that both choose days is answered differently by every
//     cron, so that is refused, as by Quartz; so are two ?, which name no day.
//
// The zone is empty or UTC, an offset such as UTC+01:00, a name of the IANA
// database such as Europe/Berlin, or an abbreviation of three to five letters: one
// of that database (CET) or of Java's ZoneId.SHORT_IDS. As in Java, EST, MST and
// HST have no summer time, and some letters mean another place than one may think:
// IST is Asia/Kolkata and BST is Asia/Dhaka.
func Parse(cron, zone string) (*Window, error) {
	location, err := parseZone(zone)
	if err != nil {
		return nil, err
	}
	w := &Window{zone: location}
	if err := w.parse(cron); err != nil {
		return nil, err
	}
	return w, nil
}

func (w *Window) parse(cron string) error {
	if len(cron) > maxExpression {
		return fmt.Errorf("the cron expression is %d bytes long; use at most %d", len(cron), maxExpression)
	}
	if bare, wrapped := strings.CutPrefix(strings.TrimSpace(cron), "cron("); wrapped {
		return fmt.Errorf("the cron expression stands in cron(…), as EventBridge writes it; write the fields alone: %s", strings.TrimSuffix(bare, ")"))
	}
	fields := strings.Fields(cron)
	if len(fields) != 6 && len(fields) != 7 {
		return fmt.Errorf("the cron expression %q has %d fields; write 6 and an optional year: "+
			"second minute hour day-of-month month day-of-week [year], for instance * * 9-17 ? * MON-FRI", cron, len(fields))
	}
	if fields[0] != "*" {
		return fmt.Errorf("second %q: a window consists of whole minutes, so the first field is always *; "+
			"write the minute as the second field", fields[0])
	}
	if len(fields) == 6 {
		fields = append(fields, "*")
	}
	for _, f := range []struct {
		name string
		text string
		read func(element string) error
	}{
		{"minute", fields[1], numbers(bounds{least: 0, most: 59}, w.minutes.add)},
		{"hour", fields[2], numbers(bounds{least: 0, most: 23}, w.hours.add)},
		{"day of month", fields[3], w.days.read},
		{"month", fields[4], numbers(bounds{least: 1, most: 12, names: monthNames}, w.months.add)},
		{"day of week", fields[5], w.weekday.read},
		{"year", fields[6], numbers(bounds{least: firstYear, most: lastYear, straight: true}, w.years.add)},
	} {
		elements := strings.Split(f.text, ",")
		for _, element := range elements {
			var err error
			switch {
			case element == "":
				err = errors.New("there is nothing on one side of a comma")
			case element == "?" && f.name != "day of month" && f.name != "day of week":
				err = errors.New("? stands in a field for days only; write *")
			case element == "?" && len(elements) > 1:
				err = errors.New("? stands alone")
			default:
				err = f.read(element)
			}
			if err != nil {
				return fmt.Errorf("%s %q: %w", f.name, f.text, err)
			}
		}
	}
	if fields[3] == "?" && fields[5] == "?" {
		return errors.New("day of month and day of week are both ?, which names no day; write * for one of them")
	}
	if !w.days.all() && !w.weekday.all() {
		return fmt.Errorf("day of month %q and day of week %q both choose days; write ? for one of them, "+
			"and use two rules where both have to hold", fields[3], fields[5])
	}
	return nil
}

// bounds says which numbers a field takes.
type bounds struct {
	least, most int
	// names are the numbers' names, from the least on.
	names func() []string
	// straight tells that ranges do not wrap around.
	straight bool
}

func monthNames() []string {
	return []string{"JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"}
}

func weekdayNames() []string {
	return []string{"SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"}
}

// allowed says in words which numbers a field takes.
func (b bounds) allowed() string {
	text := fmt.Sprintf("%d to %d", b.least, b.most)
	if b.names != nil {
		names := b.names()
		text += fmt.Sprintf(" or %s to %s", names[0], names[len(names)-1])
	}
	return text
}

// number reads a number or name.
func (b bounds) number(text string) (int, error) {
	if b.names != nil {
		for i, name := range b.names() {
			if strings.EqualFold(name, text) {
				return b.least + i, nil
			}
		}
	}
	n, ok := digits(text)
	if !ok || n < b.least || n > b.most {
		return 0, fmt.Errorf("must be %s, got %q", b.allowed(), text)
	}
	return n, nil
}

// digits reads a number without a sign.
func digits(text string) (int, bool) {
	n, err := strconv.ParseUint(text, 10, 31)
	return int(n), err == nil
}

// numbers returns a function that adds the numbers of one element of a list: *, n
// or a-b, each with an optional step.
func numbers(b bounds, add func(n int)) func(element string) error {
	return func(element string) error {
		span, stepText, stepped := strings.Cut(element, "/")
		step := 1
		if stepped {
			var ok bool
			if step, ok = digits(stepText); !ok || step < 1 || step > b.most {
				return fmt.Errorf("the step must be 1 to %d, got %q", b.most, stepText)
			}
		}
		first, last := b.least, b.most
		start, end, ranged := strings.Cut(span, "-")
		var err error
		switch {
		case span == "*" || span == "" && stepped:
		case ranged:
			if first, err = b.number(start); err != nil {
				return err
			}
			if last, err = b.number(end); err != nil {
				return err
			}
		default:
			if first, err = b.number(span); err != nil {
				return err
			}
			// A step goes on to the end of the field.
			if !stepped {
				last = first
			}
		}
		size := b.most - b.least + 1
		if last < first {
			if b.straight {
				return fmt.Errorf("the range %q ends before it starts", span)
			}
			last += size
		}
		for n := first; n <= last; n += step {
			add((n-b.least)%size + b.least)
		}
		return nil
	}
}

// read adds one element of the field.
func (d *monthDays) read(element string) error {
	b := bounds{least: 1, most: 31}
	upper := strings.ToUpper(element)
	distance, fromLast := strings.CutPrefix(upper, "L-")
	day, weekday := strings.CutSuffix(upper, "W")
	switch {
	case upper == "?":
		return numbers(b, d.numbers.add)("*")
	case upper == "L":
		d.beforeLast.add(0)
	case upper == "LW" || upper == "WL":
		d.lastWeekday = true
	case fromLast:
		n, ok := digits(distance)
		if !ok || n < 1 || n > 30 {
			return fmt.Errorf("the offset from the last day must be 1 to 30, got %q", distance)
		}
		d.beforeLast.add(n)
	case weekday:
		n, err := b.number(day)
		if err != nil {
			return fmt.Errorf("%w; W follows one day, as in 15W, or L", err)
		}
		d.nearest.add(n)
	default:
		return numbers(b, d.numbers.add)(element)
	}
	return nil
}

// read adds one element of the field.
func (d *weekdays) read(element string) error {
	b := bounds{least: 1, most: 7, names: weekdayNames}
	upper := strings.ToUpper(element)
	last, isLast := strings.CutSuffix(upper, "L")
	day, which, isNth := strings.Cut(upper, "#")
	switch {
	case upper == "?":
		return numbers(b, d.numbers.add)("*")
	case upper == "L":
		d.numbers.add(7)
	case isLast:
		n, err := b.number(last)
		if err != nil {
			return fmt.Errorf("%w; L follows one day, as in 6L or FRIL", err)
		}
		d.last.add(n)
	case isNth:
		n, err := b.number(day)
		if err != nil {
			return fmt.Errorf("%w; # follows one day, as in 6#3 or FRI#3", err)
		}
		nth, ok := digits(which)
		if !ok || nth < 1 || nth > 5 {
			return fmt.Errorf("the week after # must be 1 to 5, got %q", which)
		}
		d.nth = append(d.nth, nthWeekday{day: n, n: nth})
	default:
		return numbers(b, d.numbers.add)(element)
	}
	return nil
}
