package main

import (
	"debug/buildinfo"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"runtime/debug"
	"strings"
	"time"
)

// The list of what a binary is made of is CycloneDX 1.5, with what Go itself wrote
// into the binary: `go version -m FILE` shows the same.
// https://cyclonedx.org/docs/1.5/json/
type cdxBill struct {
	Format      string         `json:"bomFormat"`
	SpecVersion string         `json:"specVersion"`
	Version     int            `json:"version"`
	Metadata    cdxMetadata    `json:"metadata"`
	Components  []cdxComponent `json:"components"`
}

type cdxMetadata struct {
	Timestamp time.Time    `json:"timestamp"`
	Component cdxComponent `json:"component"`
}

type cdxComponent struct {
	Type     string       `json:"type"`
	Ref      string       `json:"bom-ref"`
	Name     string       `json:"name"`
	Version  string       `json:"version"`
	PURL     string       `json:"purl"`
	Hashes   []cdxHash    `json:"hashes,omitempty"`
	Licenses []cdxLicence `json:"licenses,omitempty"`
}

type cdxHash struct {
	Alg     string `json:"alg"`
	Content string `json:"content"`
}

type cdxLicence struct {
	License struct {
		ID string `json:"id"`
	} `json:"license"`
}

// sbom lists a binary's modules and Go's own library.
func (r *release) sbom(binary string) ([]byte, error) {
	info, err := buildinfo.ReadFile(binary)
	if err != nil {
		return nil, err
	}
	nsx := component("application", info.Main.Path, r.version)
	nsx.Licenses = make([]cdxLicence, 1)
	nsx.Licenses[0].License.ID = "Apache-2.0"
	bill := cdxBill{"CycloneDX", "1.5", 1, cdxMetadata{r.time, nsx}, nil}
	bill.Components = append(bill.Components, component("library", "std", strings.TrimPrefix(info.GoVersion, "go")))
	for _, module := range info.Deps {
		if module.Replace != nil {
			module = module.Replace
		}
		c := component("library", module.Path, module.Version)
		c.Hashes = hashes(module)
		bill.Components = append(bill.Components, c)
	}
	text, err := json.MarshalIndent(bill, "", "  ")
	return append(text, '\n'), err
}

func component(kind, path, version string) cdxComponent {
	purl := "pkg:golang/" + path + "@" + version
	return cdxComponent{Type: kind, Ref: purl, Name: path, Version: version, PURL: purl}
}

// hashes is a module's line in go.sum: a SHA-256 over the list of its files'.
func hashes(module *debug.Module) []cdxHash {
	text, ok := strings.CutPrefix(module.Sum, "h1:")
	sum, err := base64.StdEncoding.DecodeString(text)
	if !ok || err != nil {
		return nil
	}
	return []cdxHash{{"SHA-256", hex.EncodeToString(sum)}}
}
