package main

import (
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// immutableFields lists, by kind, the fields for which the real plugin replaces an object, as in its table `forceNew`
// (provider/pkg/provider/diff.go). A field covers all below it. Where the API server does not let another field change,
// the real plugin shows an update, which the API server then refuses; so does this one.
var immutableFields = map[schema.GroupKind][]string{
	{Group: "apps", Kind: "Deployment"}: {"spec.selector"},
	{Group: "apps", Kind: "DaemonSet"}:  {"spec.selector"},
	{Group: "apps", Kind: "StatefulSet"}: {
		"spec.podManagementPolicy", "spec.revisionHistoryLimit", "spec.selector", "spec.serviceName",
		"spec.volumeClaimTemplates",
	},
	{Group: "batch", Kind: "Job"}: {"spec.completions", "spec.parallelism", "spec.selector", "spec.template"},
	{Kind: "PersistentVolume"}: {
		"spec.awsElasticBlockStore", "spec.azureDisk", "spec.azureFile", "spec.cephfs", "spec.cinder", "spec.csi",
		"spec.fc", "spec.flexVolume", "spec.flocker", "spec.gcePersistentDisk", "spec.glusterfs", "spec.hostPath",
		"spec.iscsi", "spec.local", "spec.nfs", "spec.photonPersistentDisk", "spec.portworxVolume", "spec.quobyte",
		"spec.rbd", "spec.scaleIO", "spec.storageos", "spec.vsphereVolume",
	},
	{Kind: "PersistentVolumeClaim"}: {
		"spec.accessModes", "spec.selector", "spec.storageClassName", "spec.volumeName",
	},
	{Kind: "Pod"}: {
		"spec.affinity", "spec.automountServiceAccountToken", "spec.dnsConfig", "spec.dnsPolicy",
		"spec.enableServiceLinks", "spec.hostAliases", "spec.hostIPC", "spec.hostNetwork", "spec.hostPID",
		"spec.hostname", "spec.imagePullSecrets", "spec.nodeName", "spec.nodeSelector", "spec.overhead",
		"spec.preemptionPolicy", "spec.priority", "spec.priorityClassName", "spec.readinessGates",
		"spec.restartPolicy", "spec.runtimeClassName", "spec.schedulerName", "spec.securityContext",
		"spec.serviceAccount", "spec.serviceAccountName", "spec.shareProcessNamespace", "spec.subdomain",
		"spec.terminationGracePeriodSeconds", "spec.volumes", "spec.containers[]", "spec.initContainers[]",
	},
	{Kind: "ResourceQuota"}: {"spec.scopes"},
	{Kind: "Secret"}:        {"type"},
	{Kind: "Service"}:       {"spec.clusterIP"},
	{Group: "rbac.authorization.k8s.io", Kind: "RoleBinding"}:        {"roleRef"},
	{Group: "rbac.authorization.k8s.io", Kind: "ClusterRoleBinding"}: {"roleRef"},
	{Group: "storage.k8s.io", Kind: "StorageClass"}:                  {"parameters", "provisioner"},
}

// containerFields are the fields of a Pod's container for which the real plugin replaces the Pod; not its name.
var containerFields = []string{
	"args", "command", "env", "image", "imagePullPolicy", "lifecycle", "livenessProbe", "ports", "readinessProbe",
	"resources", "securityContext", "stdin", "stdinOnce", "terminationMessagePath", "terminationMessagePolicy", "tty",
	"volumeDevices", "volumeMounts", "workingDir",
}

// immutable says whether the object must be replaced for the field at this path to change. Elements of lists are written
// as [], without their place.
func immutable(gvk schema.GroupVersionKind, path string) bool {
	if covers([]string{"metadata.name", "metadata.namespace", "kind"}, path) {
		return true
	}
	for _, containers := range []string{"spec.containers[].", "spec.initContainers[]."} {
		if field, inside := strings.CutPrefix(path, containers); inside && gvk.Kind == "Pod" {
			return covers(containerFields, field)
		}
	}
	return covers(immutableFields[gvk.GroupKind()], path)
}

func covers(fields []string, path string) bool {
	for _, field := range fields {
		if path == field || strings.HasPrefix(path, field+".") || strings.HasPrefix(path, field+"[") {
			return true
		}
	}
	return false
}

// frozenData says whether a ConfigMap's or Secret's data may only change by replacing it: where the provider does not
// take its kind for mutable, or the object is to be immutable.
func frozenData(wished *unstructured.Unstructured, path string, settings settings) bool {
	frozen, _, _ := unstructured.NestedBool(wished.Object, "immutable")
	switch {
	case wished.GroupVersionKind().Group != "":
		return false
	case wished.GetKind() == "Secret":
		return (frozen || !settings.secretMutable) && covers([]string{"data", "stringData"}, path)
	case wished.GetKind() == "ConfigMap":
		return (frozen || !settings.configMapMutable) && covers([]string{"data", "binaryData"}, path)
	}
	return false
}

func autonamed(content *unstructured.Unstructured) bool {
	return content.GetAnnotations()[annotationAutonamed] == "true"
}
