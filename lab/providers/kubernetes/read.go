package main

import (
	"encoding/base64"

	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	pulumi "github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// serverFields are what the API server writes into an object's metadata.
var serverFields = []string{
	"creationTimestamp", "deletionGracePeriodSeconds", "deletionTimestamp", "generation", "managedFields",
	"resourceVersion", "selfLink", "uid",
}

// liveInputs returns the live values of the fields that the inputs of the last run set. Fields that others added are left
// out. Without earlier inputs (an import) it returns the whole object less what the server wrote.
func liveInputs(live *unstructured.Unstructured, inputs pulumi.PropertyMap) pulumi.PropertyMap {
	content := live.DeepCopy()
	if len(inputs) == 0 {
		for _, field := range serverFields {
			unstructured.RemoveNestedField(content.Object, "metadata", field)
		}
		delete(content.Object, "status")
		return hideSecretData(live.GroupVersionKind(), pulumi.NewPropertyMapFromMap(content.Object))
	}
	if isSecret(live.GroupVersionKind()) {
		unfoldStringData(content, object(inputs))
	}
	projected := project(pulumi.NewProperty(inputs), pulumi.NewProperty(pulumi.NewPropertyMapFromMap(content.Object)))
	return projected.ObjectValue()
}

// unfoldStringData shows the keys that were given as text as text again.
func unfoldStringData(content, inputs *unstructured.Unstructured) {
	given, _, _ := unstructured.NestedStringMap(inputs.Object, "stringData")
	data, _, _ := unstructured.NestedStringMap(content.Object, "data")
	text := map[string]any{}
	for key := range given {
		if decoded, err := base64.StdEncoding.DecodeString(data[key]); err == nil && data[key] != "" {
			text[key] = string(decoded)
		} else if _, there := data[key]; there {
			text[key] = ""
		}
	}
	if len(given) > 0 {
		content.Object["stringData"] = text
	}
}

// project returns the input with live's values. Secrets stay secret, and what means the same keeps its spelling.
func project(input, live pulumi.PropertyValue) pulumi.PropertyValue {
	switch {
	case input.IsSecret():
		return pulumi.MakeSecret(project(input.SecretValue().Element, live))
	case input.IsOutput():
		return project(plugin.Plain(input), live)
	case input.IsObject() && live.IsObject():
		projected := pulumi.PropertyMap{}
		for key, value := range input.ObjectValue() {
			current, ok := live.ObjectValue()[key]
			switch {
			case ok:
				projected[key] = project(value, current)
			case vacuous(value):
				projected[key] = value
			}
		}
		return pulumi.NewProperty(projected)
	case input.IsArray() && live.IsArray():
		return projectList(input.ArrayValue(), live.ArrayValue())
	case sameMeaning(input, live):
		return input
	default:
		return live
	}
}

// projectList pairs elements by their name where they have one, by their place otherwise.
func projectList(input, live []pulumi.PropertyValue) pulumi.PropertyValue {
	named := map[string]pulumi.PropertyValue{}
	for _, value := range live {
		if name, ok := nameOf(value); ok {
			named[name] = value
		}
	}
	byName := len(live) > 0 && len(named) == len(live)
	var projected []pulumi.PropertyValue
	for index, value := range input {
		if name, ok := nameOf(value); ok && byName {
			if current, there := named[name]; there {
				projected = append(projected, project(value, current))
			}
		} else if index < len(live) {
			projected = append(projected, project(value, live[index]))
		}
	}
	if !byName && len(live) > len(input) {
		projected = append(projected, live[len(input):]...)
	}
	return pulumi.NewProperty(projected)
}

func nameOf(value pulumi.PropertyValue) (string, bool) {
	plain := plugin.Plain(value)
	if !plain.IsObject() {
		return "", false
	}
	return plugin.String(plain.ObjectValue(), "name")
}

// vacuous holds for values that the API server drops: null, and empty maps, lists and texts, false and zero.
func vacuous(value pulumi.PropertyValue) bool {
	value = plugin.Plain(value)
	switch {
	case value.IsObject():
		for _, field := range value.ObjectValue() {
			if !vacuous(field) {
				return false
			}
		}
		return true
	case value.IsArray():
		return len(value.ArrayValue()) == 0
	case value.IsString():
		return value.StringValue() == ""
	case value.IsBool():
		return !value.BoolValue()
	case value.IsNumber():
		return value.NumberValue() == 0
	}
	return value.IsNull()
}

// sameMeaning holds for two spellings of one quantity ("1000m" and "1") or of one number.
func sameMeaning(input, live pulumi.PropertyValue) bool {
	if input.DeepEquals(live) {
		return true
	}
	first, firstOK := quantity(input)
	second, secondOK := quantity(live)
	return firstOK && secondOK && first.Cmp(second) == 0
}

func quantity(value pulumi.PropertyValue) (resource.Quantity, bool) {
	text := ""
	switch {
	case value.IsString():
		text = value.StringValue()
	case value.IsNumber():
		text = pulumi.NewProperty(value.NumberValue()).String()
	}
	if text == "" {
		return resource.Quantity{}, false
	}
	parsed, err := resource.ParseQuantity(text)
	return parsed, err == nil
}
