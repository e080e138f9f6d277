package main

import (
	"fmt"

	"nsx/audit"
)

// The part of SARIF 2.1.0 that is needed (docs.oasis-open.org/sarif/sarif/v2.1.0).
type (
	sarifLog struct {
		Schema  string     `json:"$schema"`
		Version string     `json:"version"`
		Runs    []sarifRun `json:"runs"`
	}
	sarifRun struct {
		Tool    sarifTool     `json:"tool"`
		Results []sarifResult `json:"results"`
	}
	sarifTool struct {
		Driver sarifDriver `json:"driver"`
	}
	sarifDriver struct {
		Name    string      `json:"name"`
		Version string      `json:"version"`
		Rules   []sarifRule `json:"rules"`
	}
	sarifRule struct {
		ID      string    `json:"id"`
		Short   sarifText `json:"shortDescription"`
		Help    sarifText `json:"help"`
		Default struct {
			Level string `json:"level"`
		} `json:"defaultConfiguration"`
	}
	sarifText struct {
		Text string `json:"text"`
	}
	sarifResult struct {
		RuleID    string          `json:"ruleId"`
		Level     string          `json:"level"`
		Message   sarifText       `json:"message"`
		Locations []sarifLocation `json:"locations"`
	}
	sarifLocation struct {
		Logical []sarifLogical `json:"logicalLocations"`
	}
	sarifLogical struct {
		Name string `json:"fullyQualifiedName"`
		Kind string `json:"kind"`
	}
)

// sarifLevel is the level of a severity.
func sarifLevel(s audit.Severity) string {
	if s == audit.High {
		return "error"
	}
	return "warning"
}

func sarifOf(report audit.Report) sarifLog {
	run := sarifRun{Results: []sarifResult{}}
	run.Tool.Driver = sarifDriver{Name: "nsx", Version: version}
	for _, r := range audit.Rules() {
		rule := sarifRule{ID: r.Name, Short: sarifText{r.Why}, Help: sarifText{r.Next}}
		rule.Default.Level = sarifLevel(r.Severity)
		run.Tool.Driver.Rules = append(run.Tool.Driver.Rules, rule)
	}
	for _, f := range report.Findings {
		name := f.Name
		if name == "" {
			name = fmt.Sprintf("pid:%d", f.PID)
		}
		run.Results = append(run.Results, sarifResult{
			RuleID: f.Rule, Level: sarifLevel(f.Severity), Message: sarifText{name + ": " + f.What},
			Locations: []sarifLocation{{[]sarifLogical{{name, "container"}}}},
		})
	}
	return sarifLog{"https://json.schemastore.org/sarif-2.1.0.json", "2.1.0", []sarifRun{run}}
}
