package main

import (
	"fmt"
	"os"
	"reflect"
	"slices"
	"strconv"

	pulumirpc "github.com/pulumi/pulumi/sdk/v3/proto/go"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/pulumi/pulumi/sdk/v3/go/common/resource"

	"argus.dev/lab/providers/internal/plugin"
)

// settings are the provider resource's own inputs.
type settings struct {
	kubeconfig            string // content or path; empty for the ordinary places
	context               string
	cluster               string
	namespace             string
	deleteUnreachable     bool
	skipUpdateUnreachable bool
	patchForce            bool
	configMapMutable      bool
	secretMutable         bool
	upsert                bool
}

// unsupportedSettings would change what the plugin does in ways that the stand-in does not know.
var unsupportedSettings = []resource.PropertyKey{"renderYamlToDirectory", "alwaysRender"}

// newSettings reads the provider's inputs; what they leave out comes from the environment, as in the real plugin.
func newSettings(values resource.PropertyMap) settings {
	text := func(key resource.PropertyKey, variable string) string {
		if found, ok := plugin.String(values, key); ok {
			return found
		}
		return os.Getenv(variable)
	}
	truth := func(key resource.PropertyKey, variable string) bool {
		fallback, _ := strconv.ParseBool(os.Getenv(variable))
		return plugin.Bool(values, key, fallback)
	}
	kubeconfig, _ := plugin.String(values, "kubeconfig")
	return settings{
		kubeconfig:            kubeconfig,
		context:               text("context", "PULUMI_K8S_CONTEXT"),
		cluster:               text("cluster", "PULUMI_K8S_CLUSTER"),
		namespace:             text("namespace", "PULUMI_K8S_NAMESPACE"),
		deleteUnreachable:     truth("deleteUnreachable", "PULUMI_K8S_DELETE_UNREACHABLE"),
		skipUpdateUnreachable: truth("skipUpdateUnreachable", "PULUMI_K8S_SKIP_UPDATE_UNREACHABLE"),
		patchForce:            truth("enablePatchForce", "PULUMI_K8S_ENABLE_PATCH_FORCE"),
		configMapMutable:      truth("enableConfigMapMutable", "PULUMI_K8S_ENABLE_CONFIGMAP_MUTABLE"),
		secretMutable:         truth("enableSecretMutable", "PULUMI_K8S_ENABLE_SECRET_MUTABLE"),
		upsert:                truth("upsertExistingObjects", "PULUMI_K8S_UPSERT_EXISTING_OBJECTS"),
	}
}

// clientConfig finds the cluster: in the kubeconfig given, as content or as a path, or in the ordinary places.
func (s settings) clientConfig() (clientcmd.ClientConfig, error) {
	overrides := &clientcmd.ConfigOverrides{CurrentContext: s.context}
	overrides.Context.Cluster = s.cluster
	overrides.Context.Namespace = s.namespace
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	if s.kubeconfig != "" {
		if _, err := os.Stat(s.kubeconfig); err == nil {
			rules.ExplicitPath = s.kubeconfig
		} else {
			parsed, err := clientcmd.Load([]byte(s.kubeconfig))
			if err != nil {
				return nil, fmt.Errorf("the provider's kubeconfig is neither a file nor a kubeconfig's content: %w", err)
			}
			return clientcmd.NewDefaultClientConfig(*parsed, overrides), nil
		}
	}
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, overrides), nil
}

// restConfig says how to talk to the cluster. Many resources wait at once, so the client's own throttle is wide.
func restConfig(config clientcmd.ClientConfig) (*rest.Config, error) {
	client, err := config.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("the provider's kubeconfig: %w", err)
	}
	client.QPS, client.Burst = 100, 200
	client.UserAgent = "pulumi-kubernetes/" + version
	client.WarningHandler = rest.NoWarnings{}
	return client, nil
}

// identifier is the setting by which a user names the cluster, so that nothing else tells whether it is another one.
const identifier = "clusterIdentifier"

// places are the settings that say where the cluster is.
var places = []string{"kubeconfig", "context", "cluster"}

// diffConfig compares the provider's settings as the official plugin does. Of a cluster with an identifier, another
// identifier alone means another cluster. Of one without, a place that is not known yet is taken for another cluster,
// and so is one whose cluster (address, CA) differs.
func diffConfig(old, inputs resource.PropertyMap) *pulumirpc.DiffResponse {
	before, named := plugin.String(old, identifier)
	after, stillNamed := plugin.String(inputs, identifier)
	same := named && stillNamed && before == after
	moved := !same && otherCluster(old, inputs)
	return plugin.DiffResponse(plugin.Differences(old, inputs), func(change plugin.Change) bool {
		path := change.Path.String()
		return (path == identifier && named && stillNamed) || (moved && slices.Contains(places, path))
	})
}

// otherCluster tells whether the places of the settings may mean another cluster.
func otherCluster(old, inputs resource.PropertyMap) bool {
	for _, place := range places {
		if inputs[resource.PropertyKey(place)].IsComputed() {
			return true
		}
	}
	before, after := activeCluster(newSettings(old)), activeCluster(newSettings(inputs))
	return before != nil && after != nil && !reflect.DeepEqual(before, after)
}

// activeCluster is the entry of the kubeconfig that the settings choose; nil where there is none.
func activeCluster(settings settings) *clientapi.Cluster {
	config, err := settings.clientConfig()
	if err != nil {
		return nil
	}
	raw, err := config.RawConfig()
	if err != nil {
		return nil
	}
	name := settings.cluster
	if name == "" {
		current := settings.context
		if current == "" {
			current = raw.CurrentContext
		}
		context, ok := raw.Contexts[current]
		if !ok {
			return nil
		}
		name = context.Cluster
	}
	cluster, ok := raw.Clusters[name]
	if !ok {
		return nil
	}
	cluster.LocationOfOrigin = ""
	return cluster
}
