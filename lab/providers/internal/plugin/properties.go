package plugin

import (
	"fmt"
	"strconv"

	"google.golang.org/protobuf/types/known/structpb"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
	sdkplugin "github.com/pulumi/pulumi/sdk/v3/go/common/resource/plugin"
)

var wire = sdkplugin.MarshalOptions{
	KeepUnknowns: true, KeepSecrets: true, KeepResources: true, SkipInternalKeys: false,
}

// Decode reads a property map from the wire, with its secrets and unknowns.
func Decode(properties *structpb.Struct) (resource.PropertyMap, error) {
	decoded, err := sdkplugin.UnmarshalProperties(properties, wire)
	if err != nil {
		return nil, fmt.Errorf("read properties: %w", err)
	}
	return decoded, nil
}

// Encode writes a property map to the wire, with its secrets and unknowns.
func Encode(properties resource.PropertyMap) (*structpb.Struct, error) {
	encoded, err := sdkplugin.MarshalProperties(properties, wire)
	if err != nil {
		return nil, fmt.Errorf("write properties: %w", err)
	}
	return encoded, nil
}

// Plain returns the value without the secret and output wrappers, at every depth; unknowns stay.
func Plain(value resource.PropertyValue) resource.PropertyValue {
	switch {
	case value.IsSecret():
		return Plain(value.SecretValue().Element)
	case value.IsOutput():
		output := value.OutputValue()
		if !output.Known {
			return resource.MakeComputed(resource.NewProperty(""))
		}
		return Plain(output.Element)
	case value.IsArray():
		items := make([]resource.PropertyValue, len(value.ArrayValue()))
		for index, item := range value.ArrayValue() {
			items[index] = Plain(item)
		}
		return resource.NewProperty(items)
	case value.IsObject():
		return resource.NewProperty(PlainMap(value.ObjectValue()))
	default:
		return value
	}
}

// PlainMap is Plain for a whole map.
func PlainMap(values resource.PropertyMap) resource.PropertyMap {
	plain := make(resource.PropertyMap, len(values))
	for key, value := range values {
		plain[key] = Plain(value)
	}
	return plain
}

// Secret wraps a value as a secret, unless it is one.
func Secret(value resource.PropertyValue) resource.PropertyValue {
	if value.IsSecret() || (value.IsOutput() && value.OutputValue().Secret) {
		return value
	}
	return resource.MakeSecret(value)
}

// String returns the text under the key, and whether there is any.
func String(values resource.PropertyMap, key resource.PropertyKey) (string, bool) {
	value, ok := values[key]
	if !ok || !value.IsString() {
		return "", false
	}
	return value.StringValue(), true
}

// Number returns the number under the key, or the default.
func Number(values resource.PropertyMap, key resource.PropertyKey, otherwise float64) float64 {
	value, ok := values[key]
	switch {
	case ok && value.IsNumber():
		return value.NumberValue()
	case ok && value.IsString():
		if number, err := strconv.ParseFloat(value.StringValue(), 64); err == nil {
			return number
		}
	}
	return otherwise
}

// Bool returns the truth under the key, or the default. Provider configuration may carry it as text.
func Bool(values resource.PropertyMap, key resource.PropertyKey, otherwise bool) bool {
	value, ok := values[key]
	switch {
	case ok && value.IsBool():
		return value.BoolValue()
	case ok && value.IsString():
		if truth, err := strconv.ParseBool(value.StringValue()); err == nil {
			return truth
		}
	}
	return otherwise
}
