package service

import "time"

// SetSearchTime lets a search go on for less than a minute. It is called before any.
func (x *Streams) SetSearchTime(d time.Duration) { x.searchTime = d }
