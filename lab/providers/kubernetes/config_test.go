package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"
)

// kubeconfigOf is a kubeconfig with two clusters, of which the first is current.
func kubeconfigOf(server, token string) string {
	return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "one",
		"clusters": [{"name": "a", "cluster": {"server": %q}}, {"name": "b", "cluster": {"server": "https://b"}}],
		"contexts": [{"name": "one", "context": {"cluster": "a", "user": "u"}},
			{"name": "two", "context": {"cluster": "b", "user": "u"}}],
		"users": [{"name": "u", "user": {"token": %q}}]}`, server, token)
}

func TestAProviderIsReplacedWhereItsClusterIsAnother(t *testing.T) {
	unknown := resource.MakeComputed(resource.NewProperty(""))
	first, renewed, moved := kubeconfigOf("https://a", "1"), kubeconfigOf("https://a", "2"), kubeconfigOf("https://c", "1")
	tests := map[string]struct {
		old, now resource.PropertyMap
		replaces []string
	}{
		"new credentials": {of("kubeconfig", first), of("kubeconfig", renewed), nil},
		"another address": {of("kubeconfig", first), of("kubeconfig", moved), []string{"kubeconfig"}},
		"not known yet":   {of("kubeconfig", first), of("kubeconfig", unknown), []string{"kubeconfig"}},
		"another context": {of("kubeconfig", first), of("kubeconfig", first, "context", "two"), []string{"context"}},
		"another cluster of the file": {
			of("kubeconfig", first), of("kubeconfig", first, "cluster", "b"), []string{"cluster"},
		},
		"another namespace": {of("kubeconfig", first), of("kubeconfig", first, "namespace", "other"), nil},
		"another address of the same cluster": {
			of("kubeconfig", first, identifier, "x"), of("kubeconfig", moved, identifier, "x"), nil,
		},
		"not known yet, of the same cluster": {
			of("kubeconfig", first, identifier, "x"), of("kubeconfig", unknown, identifier, "x"), nil,
		},
		"another identifier": {
			of("kubeconfig", first, identifier, "x"), of("kubeconfig", first, identifier, "y"), []string{identifier},
		},
		"its first identifier": {of("kubeconfig", first), of("kubeconfig", first, identifier, "x"), nil},
		"its first identifier, and not known yet": {
			of("kubeconfig", first), of("kubeconfig", unknown, identifier, "x"), []string{"kubeconfig"},
		},
		"no identifier any more": {of("kubeconfig", first, identifier, "x"), of("kubeconfig", first), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			found := diffConfig(test.old, test.now)
			if !slices.Equal(found.GetReplaces(), test.replaces) {
				t.Errorf("%v instead of %v", found.GetReplaces(), test.replaces)
			}
		})
	}
}

// of makes settings of keys and values in turn.
func of(pairs ...any) resource.PropertyMap {
	settings := resource.PropertyMap{}
	for index := 0; index < len(pairs); index += 2 {
		value, ok := pairs[index+1].(resource.PropertyValue)
		if !ok {
			value = resource.NewProperty(pairs[index+1].(string))
		}
		settings[resource.PropertyKey(pairs[index].(string))] = value
	}
	return settings
}
