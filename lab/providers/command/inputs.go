package main

import (
	"fmt"
	"sort"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// Names of inputs and outputs, as in the plugin's schema.
const (
	addPreviousOutput = resource.PropertyKey("addPreviousOutputInEnv")
	connectionInput   = resource.PropertyKey("connection")
	environmentInput  = resource.PropertyKey("environment")
	loggingInput      = resource.PropertyKey("logging")
	stdinInput        = resource.PropertyKey("stdin")
	triggersInput     = resource.PropertyKey("triggers")
	stdoutOutput      = resource.PropertyKey("stdout")
	stderrOutput      = resource.PropertyKey("stderr")
)

// commandInputs are the inputs that local and remote commands share.
var commandInputs = []string{
	"create", "update", "delete", "stdin", "environment", "triggers", "logging", "addPreviousOutputInEnv",
}

// checkNames refuses every input that is not among the names.
func checkNames(inputs resource.PropertyMap, names ...string) []*pulumirpc.CheckFailure {
	known := map[string]bool{"__defaults": true}
	for _, name := range names {
		known[name] = true
	}
	var failures []*pulumirpc.CheckFailure
	for key := range inputs {
		if !known[string(key)] {
			failures = append(failures, failure(string(key), "unknown input %q; known are %s",
				key, strings.Join(names, ", ")))
		}
	}
	sort.Slice(failures, func(i, j int) bool { return failures[i].Property < failures[j].Property })
	return failures
}

// checkText refuses inputs that should be text and are not.
func checkText(inputs resource.PropertyMap, names ...string) []*pulumirpc.CheckFailure {
	var failures []*pulumirpc.CheckFailure
	for _, name := range names {
		value := plugin.Plain(inputs[resource.PropertyKey(name)])
		if !value.IsNull() && !value.IsString() && !value.IsComputed() {
			failures = append(failures, failure(name, "%s must be text, not %s", name, value.TypeString()))
		}
	}
	return failures
}

// checkLogging refuses any word that the schema does not have.
func checkLogging(inputs resource.PropertyMap) []*pulumirpc.CheckFailure {
	value := plugin.Plain(inputs[loggingInput])
	if value.IsString() && !validLogging(value.StringValue()) {
		return []*pulumirpc.CheckFailure{failure(
			"logging", "%q is none of stdout, stderr, stdoutAndStderr, none", value.StringValue())}
	}
	return nil
}

func failure(property, format string, arguments ...any) *pulumirpc.CheckFailure {
	return &pulumirpc.CheckFailure{Property: property, Reason: fmt.Sprintf(format, arguments...)}
}

// command returns the script to run: the first of the inputs that is given.
func command(inputs resource.PropertyMap, keys ...resource.PropertyKey) (string, bool) {
	for _, key := range keys {
		if script, ok := plugin.String(inputs, key); ok {
			return script, true
		}
	}
	return "", false
}

// environment returns the variables that the user asked for.
func environment(inputs resource.PropertyMap) map[string]string {
	variables := map[string]string{}
	if value, ok := inputs[environmentInput]; ok && value.IsObject() {
		for name, text := range value.ObjectValue() {
			if text.IsString() {
				variables[string(name)] = text.StringValue()
			}
		}
	}
	return variables
}

// previousOutput returns the variables that tell a command what its last run printed.
func previousOutput(call call) map[string]string {
	variables := map[string]string{}
	if !plugin.Bool(call.inputs, addPreviousOutput, true) {
		return variables
	}
	if text, ok := plugin.String(call.old, stdoutOutput); ok && text != "" {
		variables["PULUMI_COMMAND_STDOUT"] = text
	}
	if text, ok := plugin.String(call.old, stderrOutput); ok && text != "" {
		variables["PULUMI_COMMAND_STDERR"] = text
	}
	return variables
}

// keepOutputs are the outputs where there was nothing to run.
func keepOutputs(call call) resource.PropertyMap {
	outputs := resource.PropertyMap{}
	for _, key := range []resource.PropertyKey{stdoutOutput, stderrOutput} {
		text, _ := plugin.String(call.old, key)
		outputs[key] = resource.NewProperty(text)
	}
	return outputs
}

// replacesOnTriggers is the rule of both commands: a changed trigger updates where there is an update command, and
// replaces where there is none.
func replacesOnTriggers(change plugin.Change, inputs resource.PropertyMap) bool {
	if change.Path[0] != string(triggersInput) {
		return false
	}
	_, updates := inputs["update"]
	return !updates
}
