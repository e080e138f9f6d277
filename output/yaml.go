package output

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// WriteYAML writes doc as one YAML document. It is made from doc's JSON, so that
// both formats have the same fields, by the same names, in the same order.
func WriteYAML(w io.Writer, doc any) error {
	b, err := marshal(doc)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.UseNumber() // 64-bit ids must not become floats
	node, err := yamlValue(dec)
	if err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	var buf bytes.Buffer
	enc := yaml.NewEncoder(&buf)
	enc.SetIndent(2)
	if err := enc.Encode(node); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	if err := enc.Close(); err != nil {
		return fmt.Errorf("writing YAML: %w", err)
	}
	return write(w, escapeRunes(buf.Bytes(), appendYAMLRune))
}

// yamlValue reads the next JSON value as a node. Decoding into maps would lose
// the order of the fields.
func yamlValue(dec *json.Decoder) (*yaml.Node, error) {
	token, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t := token.(type) {
	case json.Delim:
		return yamlCollection(dec, t)
	case string:
		return yamlString(t), nil
	case json.Number:
		return yamlNumber(string(t)), nil
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: fmt.Sprint(t)}, nil
	default:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}, nil
	}
}

// yamlCollection reads the rest of an object or array.
func yamlCollection(dec *json.Decoder, open json.Delim) (*yaml.Node, error) {
	node := &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"}
	if open == '[' {
		node = &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
	}
	for dec.More() { // of an object, a key and its value in turns
		child, err := yamlValue(dec)
		if err != nil {
			return nil, err
		}
		node.Content = append(node.Content, child)
	}
	_, err := dec.Token() // the closing bracket
	return node, err
}

// yamlNumber returns a node for a JSON number. Readers of YAML 1.1 know a float
// by its point and an exponent by its sign: they take 1e21 for text. An integer
// beyond 64 bits is a float to readers of either version.
func yamlNumber(s string) *yaml.Node {
	_, notSigned := strconv.ParseInt(s, 10, 64)
	_, notUnsigned := strconv.ParseUint(s, 10, 64)
	if notSigned == nil || notUnsigned == nil {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: s}
	}
	mantissa, exponent := s, ""
	if e := strings.IndexAny(s, "eE"); e >= 0 {
		mantissa, exponent = s[:e], s[e:]
		if exponent[1] != '+' && exponent[1] != '-' {
			exponent = exponent[:1] + "+" + exponent[1:]
		}
	}
	if !strings.Contains(mantissa, ".") {
		mantissa += ".0"
	}
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!float", Value: mantissa + exponent}
}

// yamlString returns a node for text. Text in which something must be escaped
// needs double quotes. So does text that a reader of YAML 1.1 would take for a
// boolean, for its value type (=), or for a number such as 1:30 (90) or 012 (10).
func yamlString(s string) *yaml.Node {
	node := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no", "on", "off", "=":
		node.Style = yaml.DoubleQuotedStyle
	}
	if Escape(s) != s || strings.IndexAny(s, "+-.0123456789") == 0 {
		node.Style = yaml.DoubleQuotedStyle
	}
	return node
}

func appendYAMLRune(b []byte, r rune) []byte {
	if r > 0xffff {
		return fmt.Appendf(b, `\U%08x`, r)
	}
	return fmt.Appendf(b, `\u%04x`, r)
}
