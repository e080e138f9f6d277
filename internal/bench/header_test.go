package main

import "testing"

func TestMerge(t *testing.T) {
	older := merge("", []section{{"A", "a\n\n| x |\n"}, {"B", "b\n"}})
	if want := preface + "\n## A\n\na\n\n| x |\n\n## B\n\nb\n"; older != want {
		t.Fatalf("%q, want %q", older, want)
	}
	if again := merge(older, nil); again != older {
		t.Errorf("%q became %q", older, again)
	}
	got := merge(older, []section{{"C", "c\n"}, {"A", "new\n"}})
	if want := preface + "\n## A\n\nnew\n\n## B\n\nb\n\n## C\n\nc\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestMetrics(t *testing.T) {
	const line = "BenchmarkProof-2   	 10	  9125394 ns/op	 2861 bare-µs	 245.5 look-µs	 3044 proved-µs	 -50.5 trace-µs	 2905 traced-µs\nPASS\n"
	got, err := metrics(line)
	if err != nil || got["look"] != 245.5 || got["trace"] != -50.5 || got["bare"].ms() != "2.861 ms" {
		t.Errorf("%v, %v", got, err)
	}
	if _, err := metrics("PASS\n"); err == nil {
		t.Error("no metrics, no error")
	}
}
