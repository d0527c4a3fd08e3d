package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// ensureName gives an object without a name one: that of its last run, else one made from the resource's name.
func ensureName(request *pulumirpc.CheckRequest, inputs, old resource.PropertyMap) error {
	if value := plugin.Plain(inputs["metadata"]); value.IsComputed() {
		return nil
	}
	metadata := child(inputs, "metadata")
	if _, ok := metadata["name"]; ok {
		return nil
	}
	if _, ok := metadata["generateName"]; ok {
		return errors.New("metadata.generateName cannot be used with server-side apply")
	}
	name, err := autoname(request, old)
	if err != nil {
		return err
	}
	metadata["name"] = resource.NewProperty(name)
	child(metadata, "annotations")[annotationAutonamed] = resource.NewProperty("true")
	return nil
}

func autoname(request *pulumirpc.CheckRequest, old resource.PropertyMap) (string, error) {
	if previous := object(old); previous.GetAnnotations()[annotationAutonamed] == "true" && previous.GetName() != "" {
		return previous.GetName(), nil
	}
	options := request.GetAutonaming()
	switch options.GetMode() {
	case pulumirpc.CheckRequest_AutonamingOptions_DISABLE:
		return "", fmt.Errorf("metadata.name is required: automatic names are off")
	case pulumirpc.CheckRequest_AutonamingOptions_ENFORCE, pulumirpc.CheckRequest_AutonamingOptions_PROPOSE:
		if options.GetProposedName() != "" {
			return strings.ToLower(options.GetProposedName()), nil
		}
	}
	prefix := strings.ToLower(string(resource.URN(request.GetUrn()).Name())) + "-"
	return resource.NewUniqueName(request.GetRandomSeed(), prefix, 8, 63, []rune("0123456789abcdef"))
}

// child returns the map under the key, through the wrapper of a secret, and makes one where there is none.
func child(values resource.PropertyMap, key resource.PropertyKey) resource.PropertyMap {
	value := values[key]
	if value.IsSecret() {
		value = value.SecretValue().Element
	}
	if value.IsObject() {
		return value.ObjectValue()
	}
	made := resource.PropertyMap{}
	values[key] = resource.NewProperty(made)
	return made
}

// fieldManager is the name under which a resource owns fields. It is kept in the resource's state and stays the same when
// the resource is created again, so that an interrupted run can be continued.
func fieldManager(urn string, inputs, old resource.PropertyMap) string {
	if name := object(inputs).GetAnnotations()[annotationManager]; name != "" {
		return name
	}
	if name, ok := plugin.String(plugin.PlainMap(old), keyFieldManager); ok && name != "" {
		return name
	}
	sum := sha256.Sum256([]byte(urn))
	return "pulumi-kubernetes-" + hex.EncodeToString(sum[:4])
}
