package action

import "io"

// Log takes what an attempt prints. It is not safe for concurrent use.
type Log interface {
	io.Writer

	// Small returns the log of the attempt for the commit of its result, if it is small and
	// nothing of it was stored yet, else nil. No Write may follow. Until Kept or Close the log
	// is stored as if the attempt still ran, in case the commit takes long.
	Small() *SmallLog
	// Kept ends the log: the commit of the result has what Small returned.
	Kept()
	// Close ends the log and stores what is not stored yet.
	Close() error
}

// SmallLog is the log of an attempt as the commit of its result keeps it.
type SmallLog struct {
	Attempt int
	// Start is its place in the log of the action execution, in bytes.
	Start int64
	// Data is what was printed, in the form that the logs store it.
	Data []byte
}
