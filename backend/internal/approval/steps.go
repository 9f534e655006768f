package approval

// stepsPerCheck is how many steps pass between two looks whether to stop.
const stepsPerCheck = 1 << 14

// Steps bounds the work of reports. A step compares one character of a name, or looks one
// thing up.
type Steps struct {
	left  int
	floor int
	check int
	stop  func() bool
	ended bool
}

// NewSteps allows a number of steps, which end earlier once stop returns true.
func NewSteps(count int, stop func() bool) *Steps {
	return &Steps{left: count, check: count - stepsPerCheck, stop: stop}
}

// Left returns how many steps remain.
func (s *Steps) Left() int { return max(s.left, 0) }

// share allows the next of several reports its part of the steps that remain.
func (s *Steps) share(reports int) { s.floor = s.left - s.left/reports }

// take uses steps up and reports whether more remain.
func (s *Steps) take(count int) bool {
	s.left -= count
	if s.left < s.check && !s.ended {
		s.check = s.left - stepsPerCheck
		s.ended = s.stop()
	}
	if s.ended {
		s.left, s.floor = 0, 0
	}
	return s.left > s.floor
}

// spare uses steps up only if more than these remain, and reports whether they do.
func (s *Steps) spare(count int) bool {
	return s.left-count > s.floor && s.take(count)
}
