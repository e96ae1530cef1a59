// Answers the corpus of `cargo run -p firegate-expr --example corpus` with Google's open tool for Cloud Armor's rules: a line of
// JSON for each line. docs/expressions.md says how to run it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"

	"github.com/cel-expr/cloud-armor-rules/pkg/cloudarmor"
	"gopkg.in/yaml.v3"
)

type question struct {
	Expr string          `json:"expr"`
	When json.RawMessage `json:"when"`
}

func main() {
	rules, err := cloudarmor.NewRules()
	if err != nil {
		panic(err)
	}
	in := bufio.NewScanner(os.Stdin)
	in.Buffer(make([]byte, 1<<20), 1<<24)
	out := bufio.NewWriter(os.Stdout)
	defer out.Flush()
	for in.Scan() {
		var asked question
		if err := json.Unmarshal(in.Bytes(), &asked); err != nil {
			panic(err)
		}
		line, err := json.Marshal(answer(rules, asked))
		if err != nil {
			panic(err)
		}
		fmt.Fprintln(out, string(line))
	}
}

func answer(rules *cloudarmor.Rules, asked question) string {
	ast, err := rules.Compile(asked.Expr)
	if err != nil {
		return "refused: " + err.Error()
	}
	program, err := rules.Program(ast)
	if err != nil {
		return "refused: " + err.Error()
	}
	when := &cloudarmor.Variables{}
	// JSON is YAML.
	if err := yaml.Unmarshal(asked.When, when); err != nil {
		panic(err)
	}
	value, _, err := program.Eval(cloudarmor.SafeVariables(when))
	if err != nil {
		return "error: " + err.Error()
	}
	return fmt.Sprint(value.Value())
}
