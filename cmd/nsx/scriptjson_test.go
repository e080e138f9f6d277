package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/rogpeppe/go-internal/testscript"
)

// checkJSON compares one value of the JSON document on stdout with a regular
// expression that must match all of it. Numbers are steps into lists, "*" goes
// on with each element and wants one of them to match:
//
//	json namespaces.0.type net
//	json namespaces.*.held_by.*.kind fd
func checkJSON(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 2 {
		ts.Fatalf("usage: [!] json PATH REGEXP")
	}
	want, err := regexp.Compile("^(?:" + args[1] + ")$")
	ts.Check(err)
	found := dig(theDocument(ts), strings.Split(args[0], "."))
	texts := make([]string, 0, len(found))
	matched := false
	for _, value := range found {
		text, ok := value.(string)
		if !ok {
			b, err := json.Marshal(value)
			ts.Check(err)
			text = string(b)
		}
		texts = append(texts, text)
		matched = matched || want.MatchString(text)
	}
	if matched == neg {
		ts.Fatalf("%s is %q: matched %v by %s", args[0], texts, matched, want)
	}
}

// checkKeys wants an object to have exactly these keys:
//
//	keys namespaces.0.leader pid ppid uid user comm cmdline
func checkKeys(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: keys PATH KEY…")
	}
	path := strings.Split(args[0], ".")
	if args[0] == "." {
		path = nil
	}
	found := dig(theDocument(ts), path)
	if len(found) == 0 {
		ts.Fatalf("there is no %s", args[0])
	}
	for _, value := range found {
		object, ok := value.(map[string]any)
		if !ok {
			ts.Fatalf("%s is no object: %v", args[0], value)
		}
		var keys []string
		for key := range object {
			keys = append(keys, key)
		}
		want := slices.Sorted(slices.Values(args[1:]))
		if slices.Sort(keys); !slices.Equal(keys, want) {
			ts.Fatalf("%s has the keys\n%s\nwant\n%s", args[0], keys, want)
		}
	}
}

// theDocument is the one JSON document on stdout.
func theDocument(ts *testscript.TestScript) any {
	d := json.NewDecoder(strings.NewReader(ts.ReadFile("stdout")))
	d.UseNumber()
	var doc any
	if err := d.Decode(&doc); err != nil {
		ts.Fatalf("stdout is no JSON: %v", err)
	}
	if d.More() {
		ts.Fatalf("there is more than one document on stdout")
	}
	return doc
}

// dig finds all values at a path.
func dig(value any, path []string) []any {
	if len(path) == 0 {
		return []any{value}
	}
	step, rest := path[0], path[1:]
	switch v := value.(type) {
	case map[string]any:
		if inner, ok := v[step]; ok {
			return dig(inner, rest)
		}
	case []any:
		if step == "*" {
			var all []any
			for _, inner := range v {
				all = append(all, dig(inner, rest)...)
			}
			return all
		}
		if i, err := strconv.Atoi(step); err == nil && i < len(v) {
			return dig(v[i], rest)
		}
		if step == "len" {
			return []any{json.Number(fmt.Sprint(len(v)))}
		}
	}
	return nil
}
