package store

import "time"

// ClaimExpiry is how long after the claim of an artifact's removal the process that
// claimed it is taken for dead.
const ClaimExpiry = 10 * time.Minute
