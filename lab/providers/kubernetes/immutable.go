package main

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// immutableFields lists, by kind, the fields that the API server does not let change. A field covers all below it.
var immutableFields = map[schema.GroupKind][]string{
	{Group: "apps", Kind: "Deployment"}:  {"spec.selector"},
	{Group: "apps", Kind: "DaemonSet"}:   {"spec.selector"},
	{Group: "apps", Kind: "ReplicaSet"}:  {"spec.selector"},
	{Group: "apps", Kind: "StatefulSet"}: {"spec"},
	{Group: "batch", Kind: "Job"}: {
		"spec.selector", "spec.template", "spec.completions", "spec.completionMode", "spec.podFailurePolicy",
		"spec.successPolicy", "spec.backoffLimitPerIndex", "spec.podReplacementPolicy", "spec.managedBy",
	},
	{Kind: "Pod"}:                   {"spec"},
	{Kind: "PersistentVolumeClaim"}: {"spec"},
	{Kind: "PersistentVolume"}: {
		"spec.local", "spec.hostPath", "spec.nfs", "spec.csi", "spec.iscsi", "spec.fc", "spec.rbd", "spec.cephfs",
		"spec.awsElasticBlockStore", "spec.gcePersistentDisk", "spec.azureDisk", "spec.azureFile", "spec.cinder",
		"spec.flexVolume", "spec.flocker", "spec.glusterfs", "spec.photonPersistentDisk", "spec.portworxVolume",
		"spec.quobyte", "spec.scaleIO", "spec.storageos", "spec.vsphereVolume", "spec.nodeAffinity",
		"spec.volumeMode",
	},
	{Kind: "Service"}: {"spec.clusterIP", "spec.clusterIPs"},
	{Kind: "Secret"}:  {"type"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:                   {"roleRef"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}:            {"roleRef"},
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                             {"provisioner", "parameters", "reclaimPolicy", "volumeBindingMode"},
	{Group: "scheduling.k8s.io", Kind: "PriorityClass"}:                         {"value", "preemptionPolicy"},
	{Group: "node.k8s.io", Kind: "RuntimeClass"}:                                {"handler"},
	{Group: "networking.k8s.io", Kind: "IngressClass"}:                          {"spec.controller"},
	{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}:           {"spec.group", "spec.scope"},
	{Group: "discovery.k8s.io", Kind: "EndpointSlice"}:                          {"addressType"},
	{Group: "certificates.k8s.io", Kind: "CertificateSigningRequest"}:           {"spec"},
	{Group: "flowcontrol.apiserver.k8s.io", Kind: "PriorityLevelConfiguration"}: {"spec.type"},
}

// mutableFields are the exceptions below an immutable field.
var mutableFields = map[schema.GroupKind][]string{
	{Group: "apps", Kind: "StatefulSet"}: {
		"spec.replicas", "spec.template", "spec.updateStrategy", "spec.persistentVolumeClaimRetentionPolicy",
		"spec.minReadySeconds", "spec.ordinals", "spec.revisionHistoryLimit",
	},
	{Kind: "PersistentVolumeClaim"}: {"spec.resources.requests", "spec.volumeAttributesClassName"},
	{Kind: "Pod"}: {
		"spec.containers[].image", "spec.initContainers[].image", "spec.activeDeadlineSeconds",
	},
}

// immutable says whether the object must be replaced for the field at this path to change. Elements of lists are written
// as [], without their place.
func immutable(gvk schema.GroupVersionKind, path string) bool {
	if covers([]string{"metadata.name", "metadata.namespace", "metadata.generateName", "kind"}, path) {
		return true
	}
	return covers(immutableFields[gvk.GroupKind()], path) && !covers(mutableFields[gvk.GroupKind()], path)
}

func covers(fields []string, path string) bool {
	for _, field := range fields {
		if path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(path, field+"[") {
			return true
		}
	}
	return false
}

// frozenData says whether a ConfigMap's or Secret's data may only change by replacing it: it declares itself immutable,
// or its name was generated, so that the pods that read it can roll over to a new one.
func frozenData(old *unstructured.Unstructured, path string, settings settings) bool {
	mutable := settings.configMapMutable
	switch {
	case old.GroupVersionKind().Group != "":
		return false
	case old.GetKind() == "Secret":
		mutable = settings.secretMutable
	case old.GetKind() != "ConfigMap":
		return false
	}
	if !covers([]string{"data", "binaryData", "stringData", "immutable"}, path) {
		return false
	}
	if frozen, _, _ := unstructured.NestedBool(old.Object, "immutable"); frozen {
		return true
	}
	return path != "immutable" && autonamed(old) && !mutable
}

func autonamed(content *unstructured.Unstructured) bool {
	return content.GetAnnotations()[annotationAutonamed] == "true"
}
