package main

import (
	"encoding/base64"
	"math"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// Annotations with which a user steers the plugin.
const (
	annotationAutonamed   = "pulumi.com/autonamed"
	annotationSkipAwait   = "pulumi.com/skipAwait"
	annotationTimeout     = "pulumi.com/timeoutSeconds"
	annotationPatchForce  = "pulumi.com/patchForce"
	annotationManager     = "pulumi.com/patchFieldManager"
	annotationPropagation = "pulumi.com/deletionPropagationPolicy"
)

// unsupportedAnnotations ask the real plugin for what the stand-in does not know; it must not leave them unheard.
var unsupportedAnnotations = []string{"pulumi.com/waitFor", "pulumi.com/replaceUnready"}

// Keys that the plugin keeps in a resource's state beside the live object.
const (
	keyFieldManager = resource.PropertyKey("__fieldManager")
	keyInitialAPI   = resource.PropertyKey("__initialApiVersion")
)

// object turns inputs or outputs into a Kubernetes object. Unknowns and the plugin's own keys are left out.
func object(properties resource.PropertyMap) *unstructured.Unstructured {
	content, _ := jsonValue(resource.NewProperty(plugin.PlainMap(properties))).(map[string]any)
	for key := range content {
		if strings.HasPrefix(key, "__") {
			delete(content, key)
		}
	}
	return &unstructured.Unstructured{Object: content}
}

// jsonValue turns a plain property into JSON's types, with whole numbers as int64 as client-go has them.
func jsonValue(value resource.PropertyValue) any {
	switch {
	case value.IsBool():
		return value.BoolValue()
	case value.IsString():
		return value.StringValue()
	case value.IsNumber():
		number := value.NumberValue()
		if number == math.Trunc(number) && math.Abs(number) < 1<<53 {
			return int64(number)
		}
		return number
	case value.IsArray():
		items := make([]any, 0, len(value.ArrayValue()))
		for _, item := range value.ArrayValue() {
			items = append(items, jsonValue(item))
		}
		return items
	case value.IsObject():
		fields := make(map[string]any, len(value.ObjectValue()))
		for key, field := range value.ObjectValue() {
			if !field.IsNull() && !field.IsComputed() {
				fields[string(key)] = jsonValue(field)
			}
		}
		return fields
	}
	return nil
}

// properties turns a live object into outputs, with the write-only stringData of a Secret as it was given. Secret is what an
// input is, and with stringData the data that was made of it. What others wrote into a Secret is left to the engine: SDKs
// name a Secret's data in additionalSecretOutputs.
func properties(live *unstructured.Unstructured, inputs resource.PropertyMap) resource.PropertyMap {
	content := live.DeepCopy().Object
	unstructured.RemoveNestedField(content, "metadata", "managedFields")
	outputs := resource.NewPropertyMapFromMap(content)
	if isSecret(live.GroupVersionKind()) {
		if given, ok := inputs["stringData"]; ok {
			outputs["stringData"] = given
			if data, ok := outputs["data"]; ok {
				outputs["data"] = markSecret(data, given)
			}
		}
	}
	markSecrets(outputs, inputs)
	return outputs
}

// markSecrets makes a secret of each output whose input is one.
func markSecrets(outputs, inputs resource.PropertyMap) {
	for key, input := range inputs {
		output, ok := outputs[key]
		if !ok {
			continue
		}
		outputs[key] = markSecret(output, input)
	}
}

func markSecret(output, input resource.PropertyValue) resource.PropertyValue {
	switch {
	case !input.ContainsSecrets():
		return output
	case input.IsSecret() || input.IsOutput():
		return plugin.Secret(output)
	case input.IsObject() && output.IsObject():
		markSecrets(output.ObjectValue(), input.ObjectValue())
		return output
	case input.IsArray() && output.IsArray() && len(input.ArrayValue()) == len(output.ArrayValue()):
		for index := range output.ArrayValue() {
			output.ArrayValue()[index] = markSecret(output.ArrayValue()[index], input.ArrayValue()[index])
		}
		return output
	}
	return plugin.Secret(output)
}

// hideSecretData makes secrets of a Secret's data.
func hideSecretData(gvk schema.GroupVersionKind, values resource.PropertyMap) resource.PropertyMap {
	if isSecret(gvk) {
		for _, key := range []resource.PropertyKey{"data", "stringData"} {
			if value, ok := values[key]; ok {
				values[key] = plugin.Secret(value)
			}
		}
	}
	return values
}

// foldStringData moves a Secret's stringData into its data, so that server-side apply owns, and later removes, each key.
func foldStringData(content *unstructured.Unstructured) {
	if !isSecret(content.GroupVersionKind()) {
		return
	}
	text, found, err := unstructured.NestedStringMap(content.Object, "stringData")
	if err != nil || !found {
		return
	}
	for key, value := range text {
		encoded := base64.StdEncoding.EncodeToString([]byte(value))
		_ = unstructured.SetNestedField(content.Object, encoded, "data", key)
	}
	unstructured.RemoveNestedField(content.Object, "stringData")
}

func isSecret(gvk schema.GroupVersionKind) bool {
	return gvk.Group == "" && gvk.Kind == "Secret"
}

// id is a resource's id: its name, behind its namespace where it has one.
func id(content *unstructured.Unstructured) string {
	if content.GetNamespace() == "" {
		return content.GetName()
	}
	return content.GetNamespace() + "/" + content.GetName()
}

// splitID is the reverse of id.
func splitID(id string) (namespace, name string) {
	if before, after, found := strings.Cut(id, "/"); found {
		return before, after
	}
	return "", id
}
