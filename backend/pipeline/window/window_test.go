package window_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/headrace/terraform-provider-headrace/backend/pipeline/window"
)

func parse(t require.TestingT, cron, zone string) *window.Window {
	w, err := window.Parse(cron, zone)
	require.NoError(t, err, "%s in %s", cron, zone)
	return w
}

func at(t require.TestingT, text string) time.Time {
	moment, err := time.Parse(time.RFC3339, text)
	require.NoError(t, err)
	return moment
}

// TestNext walks through the openings of a window: each is the first one after
// the minute of the one before.
func TestNext(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, cron, zone, from string
		want                   []string
	}{
		{"at once", "* * * * * *", "", "2026-11-25T04:44:11Z", []string{"2026-11-25T04:44:11Z", "2026-11-25T04:45:00Z"}},
		{"office hours", "* * 9-17 ? * MON-FRI", "UTC", "2026-11-27T18:00:00Z", []string{"2026-11-30T09:00:00Z", "2026-11-30T09:01:00Z"}},
		{"star for ?", "* 0 9 * * mon-Fri", "UTC", "2026-11-27T18:00:00Z", []string{"2026-11-30T09:00:00Z", "2026-12-01T09:00:00Z"}},
		{"lists and steps", "* 5,10/25,50-59/9 */12 ? * *", "", "2026-01-01T00:00:00Z", []string{
			"2026-01-01T00:05:00Z", "2026-01-01T00:10:00Z", "2026-01-01T00:35:00Z", "2026-01-01T00:50:00Z", "2026-01-01T00:59:00Z", "2026-01-01T12:05:00Z",
		}},
		{"step alone", "* /30 0 ? * *", "", "2026-01-01T00:01:00Z", []string{"2026-01-01T00:30:00Z", "2026-01-02T00:00:00Z"}},
		{"days wrap", "* 0 0 ? * FRI-MON", "", "2026-11-25T00:00:00Z", []string{
			"2026-11-27T00:00:00Z", "2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-04T00:00:00Z",
		}},
		{"hours wrap", "* 0 22-1 ? * *", "", "2026-01-01T02:00:00Z", []string{
			"2026-01-01T22:00:00Z", "2026-01-01T23:00:00Z", "2026-01-02T00:00:00Z", "2026-01-02T01:00:00Z", "2026-01-02T22:00:00Z",
		}},
		{"months wrap, with a step", "* 0 0 1 NOV-FEB/2 ?", "", "2026-01-01T00:00:00Z", []string{"2026-01-01T00:00:00Z", "2026-11-01T00:00:00Z", "2027-01-01T00:00:00Z"}},
		{"numbers of days", "* 0 0 ? * 1,7", "", "2026-11-25T00:00:00Z", []string{"2026-11-28T00:00:00Z", "2026-11-29T00:00:00Z", "2026-12-05T00:00:00Z"}},
		{"L in the week", "* 0 0 ? * L", "", "2026-11-25T00:00:00Z", []string{"2026-11-28T00:00:00Z", "2026-12-05T00:00:00Z"}},
		{"last day", "* 0 0 L * ?", "", "2027-01-31T00:01:00Z", []string{"2027-02-28T00:00:00Z", "2027-03-31T00:00:00Z", "2027-04-30T00:00:00Z"}},
		{"last day of a leap year", "* 0 0 l 2 ?", "", "2027-03-01T00:00:00Z", []string{"2028-02-29T00:00:00Z", "2029-02-28T00:00:00Z"}},
		{"third before the last", "* 0 0 L-3 * ?", "", "2027-01-01T00:00:00Z", []string{"2027-01-28T00:00:00Z", "2027-02-25T00:00:00Z"}},
		// 2026-10-31 is a Saturday, 2027-01-31 a Sunday.
		{"last weekday", "* 0 0 LW * ?", "", "2026-10-01T00:00:00Z", []string{"2026-10-30T00:00:00Z", "2026-11-30T00:00:00Z", "2026-12-31T00:00:00Z", "2027-01-29T00:00:00Z"}},
		// 2026-08-01 is a Saturday: the nearest weekday in the month is the 3rd.
		{"weekday nearest to the first", "* 0 0 1W * ?", "", "2026-08-01T00:00:00Z", []string{"2026-08-03T00:00:00Z", "2026-09-01T00:00:00Z", "2026-10-01T00:00:00Z", "2026-11-02T00:00:00Z"}},
		{"weekday nearest to the 15th", "* 0 0 15W * ?", "", "2026-08-01T00:00:00Z", []string{"2026-08-14T00:00:00Z", "2026-09-15T00:00:00Z"}},
		// 2027-01-31 is a Sunday, and February has none.
		{"weekday nearest to the 31st", "* 0 0 31w * ?", "", "2027-01-01T00:00:00Z", []string{"2027-01-29T00:00:00Z", "2027-03-31T00:00:00Z", "2027-05-31T00:00:00Z"}},
		{"days in a list", "* 0 0 1,15W,L * ?", "", "2026-08-01T00:00:00Z", []string{"2026-08-01T00:00:00Z", "2026-08-14T00:00:00Z", "2026-08-31T00:00:00Z"}},
		{"last Friday", "* 0 0 ? * 6L", "", "2026-11-01T00:00:00Z", []string{"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"}},
		{"last Friday by name", "* 0 0 ? * friL", "", "2026-11-01T00:00:00Z", []string{"2026-11-27T00:00:00Z", "2026-12-25T00:00:00Z"}},
		{"third Friday", "* 0 0 ? * 6#3", "", "2026-11-01T00:00:00Z", []string{"2026-11-20T00:00:00Z", "2026-12-18T00:00:00Z"}},
		{"fifth Sunday", "* 0 0 ? * SUN#5", "", "2026-11-01T00:00:00Z", []string{"2026-11-29T00:00:00Z", "2027-01-31T00:00:00Z"}},
		{"leap days", "* 0 0 29 2 ?", "", "2096-03-01T00:00:00Z", []string{"2104-02-29T00:00:00Z", "2108-02-29T00:00:00Z"}},
		{"years", "* 0 0 1 1 ? 2030,2050-2052/2,2190/9", "", "2026-01-01T00:00:00Z", []string{
			"2030-01-01T00:00:00Z", "2050-01-01T00:00:00Z", "2052-01-01T00:00:00Z", "2190-01-01T00:00:00Z", "2199-01-01T00:00:00Z", "",
		}},
		{"before all years", "* * * * * * 1970", "", "0001-01-01T00:00:00Z", []string{"1970-01-01T00:00:00Z"}},
		{"before all years, east", "* * * * * * 1970", "UTC+14:00", "1500-01-01T00:00:00Z", []string{"1969-12-31T10:00:00Z"}},
		{"year in the past", "* * * * * * 2020", "Europe/Berlin", "2026-01-01T00:00:00Z", []string{""}},
		{"no such day", "* * * 30 2 ?", "Europe/Berlin", "2026-01-01T00:00:00Z", []string{""}},
		{"no such leap day", "* * * 29 2 ? 2199", "Europe/Berlin", "2026-01-01T00:00:00Z", []string{""}},
		{"no such weekday", "* * * ? 2 MON#5 2027", "America/New_York", "2026-01-01T00:00:00Z", []string{""}},
		{"after all years", "* * * * * *", "Europe/Berlin", "2199-12-31T22:59:00Z", []string{"2199-12-31T22:59:00Z", ""}},
		{"far after all years", "* * * * * *", "", "9999-01-01T00:00:00Z", []string{""}},

		// Europe/Berlin: 2026-03-29 02:00 becomes 03:00, 2026-10-25 03:00 becomes 02:00.
		{"Berlin, hour left out", "* 30 2 ? * *", "Europe/Berlin", "2026-03-28T00:00:00Z", []string{"2026-03-28T01:30:00Z", "2026-03-30T00:30:00Z"}},
		{"Berlin, hour behind the gap", "* 0 3 29 3 ?", "Europe/Berlin", "2026-03-01T00:00:00Z", []string{"2026-03-29T01:00:00Z", "2027-03-29T01:00:00Z"}},
		{"Berlin, hour shown twice", "* 30 2 25 10 ?", "Europe/Berlin", "2026-10-01T00:00:00Z", []string{"2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2027-10-25T00:30:00Z"}},
		{"Berlin, every day", "* 0 9 ? * *", "Europe/Berlin", "2026-03-28T00:00:00Z", []string{"2026-03-28T08:00:00Z", "2026-03-29T07:00:00Z"}},
		// America/New_York: 2026-03-08 02:00 becomes 03:00, 2026-11-01 02:00 becomes 01:00.
		{"New York, hour left out", "* 0/59 2 ? * *", "America/New_York", "2026-03-08T00:00:00Z", []string{"2026-03-09T06:00:00Z", "2026-03-09T06:59:00Z"}},
		{"New York, hour shown twice", "* 59 1 1 11 ?", "America/New_York", "2026-10-01T00:00:00Z", []string{"2026-11-01T05:59:00Z", "2026-11-01T06:59:00Z", "2027-11-01T05:59:00Z"}},
		// Australia/Lord_Howe: 2026-10-04 02:00 becomes 02:30, 2026-04-05 02:00 becomes 01:30.
		{"Lord Howe, half an hour left out", "* 0/15 2 4 10 ?", "Australia/Lord_Howe", "2026-10-01T00:00:00Z", []string{"2026-10-03T15:30:00Z", "2026-10-03T15:45:00Z", "2027-10-03T15:00:00Z"}},
		{"Lord Howe, half an hour shown twice", "* 45 1 5 4 ?", "Australia/Lord_Howe", "2026-04-01T00:00:00Z", []string{"2026-04-04T14:45:00Z", "2026-04-04T15:15:00Z", "2027-04-04T15:15:00Z"}},
		// Apia had no 2011-12-30.
		{"a day left out", "* 0 12 30 12 ?", "Pacific/Apia", "2011-12-01T00:00:00Z", []string{"2012-12-29T22:00:00Z"}},
		// Liberia was 44 minutes and 30 seconds behind until 1972.
		{"an offset with seconds", "* 0 0 ? * *", "Africa/Monrovia", "1970-01-01T00:00:00Z", []string{"1970-01-01T00:44:30Z", "1970-01-02T00:44:30Z"}},

		{"offset ahead", "* 0 9 ? * *", "UTC+05:30", "2026-01-01T00:00:00Z", []string{"2026-01-01T03:30:00Z"}},
		{"offset behind", "* 0 9 ? * *", "UTC-01:00", "2026-01-01T00:00:00Z", []string{"2026-01-01T10:00:00Z"}},
		{"EST has no summer time", "* 0 9 1 7 ?", "EST", "2026-01-01T00:00:00Z", []string{"2026-07-01T14:00:00Z"}},
		{"PST has", "* 0 9 1 7 ?", "PST", "2026-01-01T00:00:00Z", []string{"2026-07-01T16:00:00Z"}},
		{"JST", "* 0 9 1 7 ?", "JST", "2026-01-01T00:00:00Z", []string{"2026-07-01T00:00:00Z"}},
		{"IST", "* 0 9 1 7 ?", "IST", "2026-01-01T00:00:00Z", []string{"2026-07-01T03:30:00Z"}},
		{"CET has", "* 0 9 1 7 ?", "CET", "2026-01-01T00:00:00Z", []string{"2026-07-01T07:00:00Z"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := parse(t, c.cron, c.zone)
			from := at(t, c.from)
			for _, want := range c.want {
				got, ok := w.Next(from)
				if want == "" {
					require.False(t, ok, "opens at %s", got)
					require.Zero(t, got)
					return
				}
				require.True(t, ok, want)
				require.Equal(t, want, got.UTC().Format(time.RFC3339))
				require.True(t, w.Contains(got))
				// On to the minute after, which starts on a whole minute except for
				// offsets with seconds.
				if whole := got.Truncate(time.Minute); whole.Equal(got) || got.Sub(from) == 0 {
					got = whole
				}
				from = got.Add(time.Minute)
			}
		})
	}
}

func TestUntil(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, cron, zone, from, want string }{
		{"end of the day's hours", "* * 9-17 ? * MON-FRI", "Europe/Berlin", "2026-11-25T12:34:56Z", "2026-11-25T17:00:00Z"},
		{"one minute", "* 34 12 ? * *", "", "2026-11-25T12:34:56Z", "2026-11-25T12:35:00Z"},
		{"outside already", "* 34 12 ? * *", "", "2026-11-25T12:35:56Z", "2026-11-25T12:35:56Z"},
		{"over midnight", "* * 22-6 ? * *", "", "2026-11-25T23:00:00Z", "2026-11-26T07:00:00Z"},
		{"days on end", "* * * ? * MON-FRI", "", "2026-11-25T12:00:00Z", "2026-11-28T00:00:00Z"},
		{"a year on end", "* * * * * * 2026", "UTC+01:00", "2026-01-01T00:00:00Z", "2026-12-31T23:00:00Z"},
		{"never", "* * * * * *", "Europe/Berlin", "2026-01-01T00:00:00Z", ""},
		{"later than a year", "* * * * * * 2026-2030", "", "2026-01-01T00:00:00Z", ""},
		{"the end of all years", "* * * * * *", "", "2199-12-31T00:00:00Z", "2200-01-01T00:00:00Z"},
		{"after all years", "* * * * * *", "", "9999-12-31T00:00:00Z", "9999-12-31T00:00:00Z"},
		{"before all years", "* * * * * *", "Europe/Berlin", "0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"},
		// The clock goes from 02:00 to 03:00, which is not inside.
		{"into the hour left out", "* * 0-2 ? * *", "Europe/Berlin", "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"},
		// The clock goes from 03:00 back to 02:00: the window stays open for an hour more.
		{"over the hour shown twice", "* * 0-2 ? * *", "Europe/Berlin", "2026-10-25T00:30:00Z", "2026-10-25T02:00:00Z"},
		// The minutes 30 to 59 come again right after.
		{"from minute 59 to minute 30", "* 30-59 1 ? * *", "Australia/Lord_Howe", "2026-04-04T14:45:00Z", "2026-04-04T15:30:00Z"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := parse(t, c.cron, c.zone)
			got := w.Until(at(t, c.from))
			if c.want == "" {
				require.Zero(t, got)
				return
			}
			require.Equal(t, c.want, got.UTC().Format(time.RFC3339))
			require.False(t, w.Contains(got))
		})
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ cron, zone, want string }{
		{"", "", `the cron expression "" has 0 fields; write 6 and an optional year`},
		{"* * * * *", "", "has 5 fields"},
		{"* * * * * * * *", "", "has 8 fields"},
		{strings.Repeat("* ", 600), "", "is 1200 bytes long; use at most 1000"},
		{"0 0 9 ? * MON", "", `second "0": a window consists of whole minutes, so the first field is always *`},
		{"? * 9 ? * MON", "", `second "?"`},
		{"*/5 * 9 ? * MON", "", `second "*/5"`},
		{"* 60 * * * *", "", `minute "60": must be 0 to 59, got "60"`},
		{"* -5 * * * *", "", `minute "-5": must be 0 to 59, got ""`},
		{"* +5 * * * *", "", `minute "+5": must be 0 to 59, got "+5"`},
		{"* 1,,2 * * * *", "", `minute "1,,2": there is nothing on one side of a comma`},
		{"* ? * * * *", "", `minute "?": ? stands in a field for days only; write *`},
		{"* 1/0 * * * *", "", `minute "1/0": the step must be 1 to 59, got "0"`},
		{"* 1/60 * * * *", "", `the step must be 1 to 59, got "60"`},
		{"* 1/ * * * *", "", `the step must be 1 to 59, got ""`},
		{"* 1/2/3 * * * *", "", `the step must be 1 to 59, got "2/3"`},
		{"* * 24 * * *", "", `hour "24": must be 0 to 23, got "24"`},
		{"* * MON * * *", "", `hour "MON"`},
		{"* * 9-17-18 * * *", "", `must be 0 to 23, got "17-18"`},
		{"* * * 0 * ?", "", `day of month "0": must be 1 to 31, got "0"`},
		{"* * * 32 * ?", "", `day of month "32"`},
		{"* * * ?,1 * MON", "", `day of month "?,1": ? stands alone`},
		{"* * * L-31 * ?", "", `the offset from the last day must be 1 to 30, got "31"`},
		{"* * * L-0 * ?", "", `must be 1 to 30, got "0"`},
		{"* * * 1-5W * ?", "", `must be 1 to 31, got "1-5"; W follows one day, as in 15W, or L`},
		{"* * * W * ?", "", "W follows one day"},
		{"* * * * 0 *", "", `month "0": must be 1 to 12 or JAN to DEC, got "0"`},
		{"* * * * JANUARY *", "", `must be 1 to 12 or JAN to DEC, got "JANUARY"`},
		{"* * * ? * 0", "", `day of week "0": must be 1 to 7 or SUN to SAT, got "0"`},
		{"* * * ? * 8L", "", `must be 1 to 7 or SUN to SAT, got "8"; L follows one day, as in 6L or FRIL`},
		{"* * * ? * MON-FRI#2", "", "# follows one day, as in 6#3 or FRI#3"},
		{"* * * ? * 6#6", "", `the week after # must be 1 to 5, got "6"`},
		{"* * * ? * 6#", "", `the week after # must be 1 to 5, got ""`},
		{"* * * ? * ?", "", "both ?, which names no day; write * for one of them"},
		{"* * * 1 * MON", "", `day of month "1" and day of week "MON" both choose days; write ? for one of them`},
		{"* * * */2 * MON", "", "both choose days"},
		{"* * * * * * 1969", "", `year "1969": must be 1970 to 2199, got "1969"`},
		{"* * * * * * 2200", "", `year "2200"`},
		{"* * * * * * 2030-2026", "", `year "2030-2026": the range "2030-2026" ends before it starts`},
		{"* * * * * *", "Local", `there is no time zone "Local"; write it as Europe/Berlin (case matters), UTC, UTC+01:00, or an abbreviation such as CET`},
		{"* * * * * *", "GMT+2", `there is no time zone "GMT+2"; write the offset as UTC+02:00`},
		{"* * * * * *", "-0330", `write the offset as UTC-03:30`},
		{"* * * * * *", "utc+01:00", `write the offset as UTC+01:00`},
		{"cron(* * 9-17 ? * MON-FRI)", "", "write the fields alone: * * 9-17 ? * MON-FRI"},
		{"* * * * * *", "Europe/Atlantis", `no time zone "Europe/Atlantis"`},
		{"* * * * * *", "europe/berlin", `no time zone "europe/berlin"`},
		{"* * * * * *", "Europe", "no time zone"},
		{"* * * * * *", "/etc/localtime", "no time zone"},
		{"* * * * * *", "../etc/passwd", "no time zone"},
		{"* * * * * *", "Europe/../Europe/Berlin", "no time zone"},
		{"* * * * * *", "Europe\\Berlin", "no time zone"},
		{"* * * * * *", "posix/Europe/Berlin", "no time zone"},
		{"* * * * * *", "EDT", "no time zone"},
		{"* * * * * *", "utc", "no time zone"},
		{"* * * * * *", "UTC+1", "no time zone"},
		{"* * * * * *", "+01:00", "no time zone"},
		{"* * * * * *", "UTC+01:60", `the time zone "UTC+01:60" is too far from UTC`},
		{"* * * * * *", "UTC-18:01", "use at most UTC+18:00 or UTC-18:00"},
	} {
		_, err := window.Parse(c.cron, c.zone)
		require.ErrorContains(t, err, c.want, "%q in %q", c.cron, c.zone)
	}
}

func TestZones(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{
		"", "UTC", "GMT", "CET", "EET", "WET", "UTC+00:00", "UTC-00:00", "UTC+18:00", "Etc/GMT+5", "America/Argentina/Buenos_Aires",
		"America/Port-au-Prince", "US/Eastern", "Africa/Dar_es_Salaam",
		"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT", "CST", "CTT", "EAT", "ECT", "IET", "IST", "JST", "MIT", "NET", //nolint:misspell // Zones.
		"NST", "PLT", "PNT", "PRT", "PST", "SST", "VST", "EST", "MST", "HST",
	} {
		w := parse(t, "* * * * * *", zone)
		require.True(t, w.Contains(at(t, "2026-01-01T00:00:00Z")), zone)
	}
}

// anyCron draws an expression, valid or nearly always so.
func anyCron(t *rapid.T) string {
	draw := func(name string, choices ...string) string { return rapid.SampledFrom(choices).Draw(t, name) }
	number := func(name string, least, most int) string {
		return fmt.Sprint(rapid.IntRange(least, most).Draw(t, name))
	}
	span := func(name string, least, most int) string {
		switch draw(name+" kind", "star", "one", "range", "step", "list") {
		case "one":
			return number(name, least, most)
		case "range":
			return number(name, least, most) + "-" + number(name, least, most)
		case "step":
			return number(name, least, most) + "/" + number(name, 1, most)
		case "list":
			return number(name, least, most) + "," + number(name, least, most)
		}
		return "*"
	}
	dayOfMonth, dayOfWeek := "?", "*"
	switch draw("days", "all", "month", "month special", "week", "week special") {
	case "month":
		dayOfMonth, dayOfWeek = span("day of month", 1, 31), "?"
	case "month special":
		dayOfMonth, dayOfWeek = draw("special", "L", "LW", "L-3", "L-30", "1W", "15W", "31W", "29", "30,L"), "?"
	case "week":
		dayOfWeek = span("day of week", 1, 7)
	case "week special":
		dayOfWeek = draw("special", "L", "6L", "2#1", "1#5", "FRI-MON", "SUN,7#2")
	}
	return strings.Join([]string{
		"*", span("minute", 0, 59), span("hour", 0, 23), dayOfMonth, span("month", 1, 12), dayOfWeek,
		draw("year", "*", "2026", "2026-2028", "2032/4", "1970"),
	}, " ")
}

func anyZone(t *rapid.T) string {
	return rapid.SampledFrom([]string{"UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "UTC-05:30", "EST"}).Draw(t, "zone")
}

// minutes calls f for the start of minutes from start on and before end: all of
// the first days and of the last hours, and samples between.
func minutes(t *rapid.T, start, end time.Time, f func(m time.Time)) {
	between := int(end.Sub(start) / time.Minute)
	const near, far = 2 * 24 * 60, 3 * 60
	for i := range min(between, near) {
		f(start.Add(time.Duration(i) * time.Minute))
	}
	for i := range min(between, far) {
		f(end.Add(-time.Duration(i+1) * time.Minute))
	}
	if between > near {
		for range 200 {
			f(start.Add(time.Duration(rapid.IntRange(near, between-1).Draw(t, "between")) * time.Minute))
		}
	}
}

// TestNextAndUntilAgreeWithContains holds that Next and Until find the first
// minute, against looking at each minute.
func TestNextAndUntilAgreeWithContains(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		cron := anyCron(t)
		w := parse(t, cron, anyZone(t))
		// Near to changes of some clock, or anywhere.
		from := rapid.SampledFrom([]time.Time{
			time.Date(2026, 3, 28, 0, 0, 0, 0, time.UTC), time.Date(2026, 10, 24, 0, 0, 0, 0, time.UTC),
			time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC), time.Date(2026, 4, 4, 0, 0, 0, 0, time.UTC),
			time.Date(2028, 2, 28, 0, 0, 0, 0, time.UTC), time.Date(2011, 12, 29, 0, 0, 0, 0, time.UTC),
		}).Draw(t, "near").Add(time.Duration(rapid.IntRange(0, 3*24*60*60).Draw(t, "seconds")) * time.Second)

		open, ok := w.Next(from)
		end := open
		if ok {
			require.True(t, w.Contains(open), "Next is inside")
			require.False(t, open.Before(from))
		} else {
			end = from.AddDate(5, 0, 0)
		}
		if !open.Equal(from) {
			minutes(t, from, end, func(m time.Time) {
				require.False(t, w.Contains(m), "%s is inside, but Next of %s is %s", m, from, open)
			})
		}

		closed := w.Until(from)
		require.False(t, closed.Before(from) && !closed.IsZero())
		if closed.IsZero() {
			closed = from.AddDate(1, 0, 0)
		} else {
			require.False(t, w.Contains(closed), "Until is outside")
		}
		if !closed.Equal(from) {
			minutes(t, from, closed, func(m time.Time) {
				require.True(t, w.Contains(m), "%s is outside, but Until of %s is %s", m, from, closed)
			})
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, cron := range []string{
		"* * 9-17 ? * MON-FRI", "* 0 0 L-3 * ?", "* 0 0 LW,15W 2 ? 2099", "* * * ? * 6#3,6L,L", "* 59-0/7 22-6 31W NOV-FEB ?", "* * * 30 2 ?",
		"* * * 29 2 ? 2199", "* /1 */2 ? * 7#5 1970-2199/229", "0 0 0 * * *", "* 1,, * * * *",
	} {
		f.Add(cron, "Europe/Berlin", int64(1795581851))
		f.Add(cron, "UTC-05:30", int64(-62135596800))
	}
	f.Add("* * * * * *", "../../etc/passwd", int64(0))
	f.Fuzz(func(t *testing.T, cron, zone string, seconds int64) {
		w, err := window.Parse(cron, zone)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		// The years 1 to 9999 are those that a timestamp has.
		from := time.Unix(-62135596800+seconds%315537897600, 0).UTC()
		started := time.Now()
		open, ok := w.Next(from)
		closed := w.Until(from)
		require.Less(t, time.Since(started), time.Second)
		require.Equal(t, ok, w.Contains(open) && ok)
		require.Equal(t, w.Contains(from), ok && open.Equal(from))
		require.Equal(t, w.Contains(from), !closed.Equal(from))
		if !closed.IsZero() {
			require.False(t, w.Contains(closed))
		}
	})
}

// BenchmarkNextNever is the dearest answer: no minute of two centuries.
func BenchmarkNextNever(b *testing.B) {
	w := parse(b, "* * * 30 2 ?", "Europe/Berlin")
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for b.Loop() {
		_, ok := w.Next(from)
		require.False(b, ok)
	}
}
