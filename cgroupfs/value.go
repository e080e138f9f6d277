package cgroupfs

import (
	"encoding/json"
	"strconv"
)

// Value is a number of a group's: a limit, or a count. It has three states: a
// number; none, where nothing limits or counts; and not known, with the reason.
// The zero Value is none.
//
// In JSON both of the others are null; what was not known is listed as
// Unreadable beside it.
type Value[N int64 | float64] struct {
	number N
	is     bool
	err    error
}

// Number is the Value n.
func Number[N int64 | float64](n N) Value[N] { return Value[N]{number: n, is: true} }

// NotKnown is a Value that could not be read, or not be understood.
func NotKnown[N int64 | float64](err error) Value[N] { return Value[N]{err: err} }

// Get is the number, and whether there is one.
func (v Value[N]) Get() (n N, ok bool) { return v.number, v.is }

// Err is why the value is not known, nil if it is.
func (v Value[N]) Err() error { return v.err }

// IsNone says that it is known, and that there is none.
func (v Value[N]) IsNone() bool { return !v.is && v.err == nil }

// String is the number, "none", or "?".
func (v Value[N]) String() string {
	switch {
	case v.err != nil:
		return "?"
	case !v.is:
		return "none"
	}
	return strconv.FormatFloat(float64(v.number), 'f', -1, 64)
}

// MarshalJSON writes a number or null.
func (v Value[N]) MarshalJSON() ([]byte, error) {
	if !v.is {
		return []byte("null"), nil
	}
	return json.Marshal(v.number)
}

// UnmarshalJSON reads a number; null is none.
func (v *Value[N]) UnmarshalJSON(text []byte) error {
	*v = Value[N]{}
	if string(text) == "null" {
		return nil
	}
	v.is = true
	return json.Unmarshal(text, &v.number)
}
