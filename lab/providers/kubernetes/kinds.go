package main

import (
	"fmt"
	"strings"

	"k8s.io/apimachinery/pkg/runtime/schema"
)

// notObjects are resource types of the package that are no Kubernetes object.
var notObjects = []string{
	"kubernetes:helm.sh/", "kubernetes:yaml", "kubernetes:kustomize", "kubernetes:apiextensions.k8s.io:CustomResource",
}

// refused says why a resource type cannot be served, or nothing.
func refused(token string) string {
	for _, prefix := range notObjects {
		if strings.HasPrefix(token, prefix) {
			return "the resource type " + token
		}
	}
	if strings.HasSuffix(token, "Patch") {
		return "the resource type " + token + " (write the whole object instead)"
	}
	if strings.Count(token, ":") != 2 {
		return "the resource type " + token
	}
	return ""
}

// kindOf finds the object's kind: in the object, else in the resource's type.
func kindOf(apiVersion, kind, token string) (schema.GroupVersionKind, error) {
	parts := strings.Split(token, ":")
	if len(parts) == 3 {
		if apiVersion == "" {
			apiVersion = strings.TrimPrefix(parts[1], "core/")
		}
		if kind == "" {
			kind = parts[2]
		}
	}
	version, err := schema.ParseGroupVersion(apiVersion)
	if err != nil {
		return schema.GroupVersionKind{}, fmt.Errorf("apiVersion %q: %w", apiVersion, err)
	}
	if version.Version == "" || kind == "" {
		return schema.GroupVersionKind{}, fmt.Errorf("%s: apiVersion and kind are required", token)
	}
	return version.WithKind(kind), nil
}

// builtinGroups are the groups whose kinds are known without asking a cluster, by their short and full names.
var builtinGroups = map[string]bool{
	"": true, "apps": true, "batch": true, "autoscaling": true, "policy": true,
	"admissionregistration.k8s.io": true, "apiextensions.k8s.io": true, "apiregistration.k8s.io": true,
	"certificates.k8s.io": true, "coordination.k8s.io": true, "discovery.k8s.io": true, "events.k8s.io": true,
	"flowcontrol.apiserver.k8s.io": true, "networking.k8s.io": true, "node.k8s.io": true,
	"rbac.authorization.k8s.io": true, "scheduling.k8s.io": true, "storage.k8s.io": true,
}

// clusterScoped are the built-in kinds that live in no namespace.
var clusterScoped = map[string]bool{
	"APIService": true, "CSIDriver": true, "CSINode": true, "CertificateSigningRequest": true, "ClusterRole": true,
	"ClusterRoleBinding": true, "ClusterTrustBundle": true, "CustomResourceDefinition": true, "FlowSchema": true,
	"IPAddress": true, "IngressClass": true, "MutatingAdmissionPolicy": true, "MutatingAdmissionPolicyBinding": true,
	"MutatingWebhookConfiguration": true, "Namespace": true, "Node": true, "PersistentVolume": true,
	"PriorityClass": true, "PriorityLevelConfiguration": true, "RuntimeClass": true, "ServiceCIDR": true,
	"StorageClass": true, "ValidatingAdmissionPolicy": true, "ValidatingAdmissionPolicyBinding": true,
	"ValidatingWebhookConfiguration": true, "VolumeAttachment": true, "VolumeAttributesClass": true,
}

// namespacedBuiltin says whether the kind is a built-in one that lives in a namespace.
func namespacedBuiltin(gvk schema.GroupVersionKind) bool {
	return builtinGroups[gvk.Group] && !clusterScoped[gvk.Kind]
}
