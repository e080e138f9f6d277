package output

import (
	"bytes"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// box is a document for pages.
type box struct {
	Schema string   `json:"schema"`
	Name   string   `json:"name"`
	Image  string   `json:"image,omitempty"`
	Rights []string `json:"rights"`
	Path   string   `json:"path"`
	Limits []limit  `json:"limits"`
}

type limit struct {
	Resource string `json:"resource"`
	Value    string `json:"value"`
	Note     string `json:"note"`
}

var boxPage = &Page[box]{
	Title: func(b *box) []Cell { return []Cell{Text(b.Name).With(Bold), Text("in pod:site, 5 processes")} },
	Blocks: [][]Section[box]{
		{
			{"container", func(b *box) (facts []Fact) {
				if b.Image != "" {
					facts = append(facts, Fact{Text("937da753f5a6 of podman, image " + b.Image)})
				}
				return facts
			}},
			{"user", func(*box) []Fact { return []Fact{{Text("root")}} }},
		},
		{{"nothing", func(*box) []Fact { return nil }}},
		{{"rights", func(b *box) []Fact {
			return []Fact{{Text("11 capabilities")}, {Text(strings.Join(b.Rights, " "))}}
		}}},
		{{"group", func(b *box) []Fact {
			facts := []Fact{{Text(b.Path)}}
			for _, l := range b.Limits {
				facts = append(facts, Fact{Text(l.Resource).With(Cyan), Text(l.Value), Text(l.Note).With(Red)})
			}
			return facts
		}}},
	},
	Name: func(b *box) string { return b.Name },
}

func web() *box {
	return &box{
		Schema: "test/1", Name: "podman:web", Image: "docker.io/library/nginx:1.25",
		Rights: strings.Fields("chown dac_override fowner fsetid kill net_bind_service setfcap setgid setpcap setuid sys_chroot"),
		Path:   "/machine.slice/machine-libpod_pod_3c1b9a2e7f40.slice/libpod-937da753f5a6.scope/container",
		Limits: []limit{{"cpu", "0.50 CPUs by itself", "throttled 2% of periods"}, {"memory", "18M of 200M", "9%, peak 61M, no kills"}, {"pids", "-", ""}},
	}
}

func printedPage(t *testing.T, b *box, o Options) []string {
	t.Helper()
	var buf bytes.Buffer
	if err := boxPage.Print(&buf, b, o); err != nil {
		t.Fatalf("%+v: %v", o, err)
	}
	return lineList(t, buf.String())
}

func TestPage(t *testing.T) {
	checkLines(t, "a page at 80 columns", printedPage(t, web(), Options{Width: 80}),
		"podman:web  in pod:site, 5 processes",
		"",
		"container   937da753f5a6 of podman, image docker.io/library/nginx:1.25",
		"user        root",
		"",
		"rights      11 capabilities",
		"            chown dac_override fowner fsetid kill net_bind_service setfcap",
		"            setgid setpcap setuid sys_chroot",
		"",
		"group       /machine.slice/machine-libpod_pod_3c1b9a2e7f40.slice/",
		"            libpod-937da753f5a6.scope/container",
		"            cpu     0.50 CPUs by itself  throttled 2% of periods",
		"            memory  18M of 200M          9%, peak 61M, no kills",
		"            pids    -",
	)
	checkLines(t, "a page at 40 columns", printedPage(t, web(), Options{Width: 40}),
		"podman:web  in pod:site, 5 processes",
		"",
		"container",
		"  937da753f5a6 of podman, image",
		"  docker.io/library/nginx:1.25",
		"user",
		"  root",
		"",
		"rights",
		"  11 capabilities",
		"  chown dac_override fowner fsetid kill",
		"  net_bind_service setfcap setgid",
		"  setpcap setuid sys_chroot",
		"",
		"group",
		"  /machine.slice/",
		"  machine-libpod_pod_3c1b9a2e7f40.slice/",
		"  libpod-937da753f5a6.scope/container",
		"  cpu  0.50 CPUs by itself  throttled 2%",
		"  of periods",
		"  memory  18M of 200M  9%, peak 61M, no",
		"  kills",
		"  pids  -",
	)
	// A page without a terminal is one line for each fact; so it is where there is room.
	piped := printedPage(t, web(), Options{})
	checkLines(t, "a page at 200 columns", printedPage(t, web(), Options{Width: 200}), piped...)
	if len(piped) != 12 || piped[6] != "            "+strings.Join(web().Rights, " ") {
		t.Errorf("piped:\n%s", strings.Join(piped, "\n"))
	}
	b := web()
	b.Image = ""
	if lines := printedPage(t, b, Options{Width: 80}); lines[2] != "user     root" {
		t.Errorf("without a fact, its section goes: %q", lines[2])
	}
}

func TestPageFitsTheTerminal(t *testing.T) {
	b := web()
	b.Name = "a\x1b[31mb\u202e" + strings.Repeat("日本", 100)
	b.Rights = append(b.Rights, "two  blanks", "", "", strings.Repeat("x", 1<<20), strings.Repeat("e\u0301", 500), "日本語日本語日本語日本語日本語日本語日本語")
	b.Path = "/" + strings.Repeat("p/", 300) + strings.Repeat("q", 300) + "\n/end"
	if piped := strings.Join(printedPage(t, b, Options{}), ""); strings.ContainsAny(piped, "\x1b\u202e") || !strings.Contains(piped, `a\x1b[31mb\u202e日本`) {
		t.Errorf("piped: %q", piped[:300])
	}
	for width := 30; width <= 210; width += 9 {
		for i, line := range printedPage(t, b, Options{Width: width}) {
			if w := textWidth(line); w > width {
				t.Errorf("width %d, line %d takes %d columns: %s", width, i, w, line[:min(len(line), 300)])
			}
			if strings.HasSuffix(line, " ") {
				t.Errorf("width %d, line %d ends in blanks: %q", width, i, line)
			}
			if strings.ContainsAny(line, "\x1b\u202e") {
				t.Errorf("width %d, line %d is raw: %q", width, i, line)
			}
		}
	}
}

// TestPageInColor: without its colours the page is the same.
func TestPageInColor(t *testing.T) {
	sequences := regexp.MustCompile(`\x1b\[\d+m`)
	for _, width := range []int{0, 40, 60, 80, 200} {
		plain := strings.Join(printedPage(t, web(), Options{Width: width}), "\n")
		colored := strings.Join(printedPage(t, web(), Options{Width: width, Color: true}), "\n")
		if got := sequences.ReplaceAllString(colored, ""); got != plain {
			t.Errorf("width %d:\n%s\nwant\n%s", width, got, plain)
		}
		for _, want := range []string{"\x1b[1mpodman:web\x1b[0m", "\x1b[1mrights\x1b[0m", "\x1b[36mcpu\x1b[0m"} {
			if !strings.Contains(colored, want) {
				t.Errorf("width %d lacks %q:\n%q", width, want, colored)
			}
		}
	}
}

// TestPageAsDocument: documents are the data, whatever the page shows.
func TestPageAsDocument(t *testing.T) {
	b := &box{Schema: "test/1", Name: "a\x1b\u202e", Rights: []string{}, Path: "/", Limits: []limit{}}
	for format, want := range map[Format]string{
		NDJSON: `{"schema":"test/1","name":"a\u001b\u202e","rights":[],"path":"/","limits":[]}` + "\n",
		JSON:   `{"schema":"test/1","name":"a\u001b\u202e","rights":[],"path":"/","limits":[]}` + "\n",
		YAML:   "schema: test/1\nname: \"a\\e\\u202e\"\nrights: []\npath: /\nlimits: []\n",
		Name:   `a\x1b\u202e` + "\n",
	} {
		var buf bytes.Buffer
		if err := boxPage.Print(&buf, b, Options{Format: format}); err != nil || buf.String() != want {
			t.Errorf("%s: %v\n%s\nwant\n%s", format, err, buf.String(), want)
		}
	}
	if lines := printedPage(t, b, Options{Format: JSON, Width: 80}); len(lines) < 5 || lines[1] != `  "schema": "test/1",` {
		t.Errorf("on a terminal: %q", lines)
	}
	nameless := *boxPage
	nameless.Name = nil
	if err := nameless.Print(&bytes.Buffer{}, b, Options{Format: Name}); err == nil {
		t.Error("it has no name")
	}
}

func TestPageOfNothing(t *testing.T) {
	var buf bytes.Buffer
	if err := (&Page[box]{}).Print(&buf, &box{}, Options{Width: 80}); err != nil || buf.Len() != 0 {
		t.Errorf("%q, %v", buf.String(), err)
	}
}

func TestPageWriteFails(t *testing.T) {
	full := errors.New("full")
	for _, format := range []Format{Table, JSON, NDJSON, YAML, Name} {
		if err := boxPage.Print(failing{full}, web(), Options{Format: format}); !errors.Is(err, full) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

func ExamplePage() {
	type city struct {
		Name   string   `json:"name"`
		People int64    `json:"people"`
		Rivers []string `json:"rivers"`
	}
	page := &Page[city]{
		Title: func(c *city) []Cell { return []Cell{Text(c.Name)} },
		Blocks: [][]Section[city]{{
			{"people", func(c *city) []Fact { return []Fact{{Int(c.People)}} }},
			{"rivers", func(c *city) (facts []Fact) {
				for _, r := range c.Rivers {
					facts = append(facts, Fact{Text(r)})
				}
				return facts
			}},
		}},
	}
	berlin := &city{"Berlin", 3_700_000, []string{"Spree", "Havel"}}
	for _, format := range []Format{Table, JSON} {
		var text strings.Builder
		if err := page.Print(&text, berlin, Options{Format: format}); err != nil {
			fmt.Println(err)
		}
		fmt.Print(text.String())
	}
	// Output:
	// Berlin
	//
	// people   3700000
	// rivers   Spree
	//          Havel
	// {"name":"Berlin","people":3700000,"rivers":["Spree","Havel"]}
}
