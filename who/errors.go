package who

import (
	"fmt"

	"nsx/inspect"
)

// usageError is an inspect.ErrUsage.
type usageError struct{ error }

func (e usageError) Unwrap() error        { return e.error }
func (e usageError) Is(target error) bool { return target == inspect.ErrUsage }

func usagef(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }
