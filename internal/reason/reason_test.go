package reason

import (
	"errors"
	"fmt"
	"io/fs"
	"testing"
)

func TestGone(t *testing.T) {
	err := fmt.Errorf("the group: %w", ErrGone)
	if !errors.Is(err, ErrGone) || !errors.Is(err, fs.ErrNotExist) || errors.Is(err, ErrUsage) {
		t.Error("what is gone does not exist")
	}
}
