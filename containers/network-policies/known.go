package main

import (
	"net/netip"

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	coreinformers "k8s.io/client-go/informers/core/v1"
	networkinginformers "k8s.io/client-go/informers/networking/v1"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

// noName is the name of no namespace and no node.
const noName = "-"

// stranger stands for a pod that the API servers have not told of yet. A policy refuses it everything.
var stranger = &v1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: noName, Name: noName}}

var refusal = &networkingv1.NetworkPolicy{
	ObjectMeta: metav1.ObjectMeta{Namespace: noName, Name: noName},
	Spec: networkingv1.NetworkPolicySpec{
		PolicyTypes: []networkingv1.PolicyType{networkingv1.PolicyTypeIngress, networkingv1.PolicyTypeEgress},
	},
}

// knownPods are the pods by their addresses, where an address of the pods' network is always somebody's: the library
// lets pass what it knows no pod of, so a pod's first second would be free.
type knownPods struct {
	coreinformers.PodInformer
	network netip.Prefix
}

func (pods knownPods) Informer() cache.SharedIndexInformer {
	return knownInformer{pods.PodInformer.Informer(), pods.network}
}

type knownInformer struct {
	cache.SharedIndexInformer
	network netip.Prefix
}

func (informer knownInformer) GetIndexer() cache.Indexer {
	return knownIndexer{informer.SharedIndexInformer.GetIndexer(), informer.network}
}

type knownIndexer struct {
	cache.Indexer
	network netip.Prefix
}

// ByIndex is only asked for the pods of an address.
func (indexer knownIndexer) ByIndex(name, address string) ([]any, error) {
	found, err := indexer.Indexer.ByIndex(name, address)
	if err != nil {
		return nil, err
	}
	var living []any
	for _, each := range found {
		// The address of a pod that has ended may be another one's by now.
		if pod, is := each.(*v1.Pod); is && pod.Status.Phase != v1.PodSucceeded && pod.Status.Phase != v1.PodFailed {
			living = append(living, pod)
		}
	}
	if asked, err := netip.ParseAddr(address); len(living) == 0 && err == nil && indexer.network.Contains(asked) {
		return []any{stranger}, nil
	}
	return living, nil
}

// knownPolicies are the policies, and the one for the stranger.
type knownPolicies struct {
	networkinginformers.NetworkPolicyInformer
}

func (policies knownPolicies) Lister() networkinglisters.NetworkPolicyLister {
	return knownLister{policies.NetworkPolicyInformer.Lister()}
}

type knownLister struct {
	networkinglisters.NetworkPolicyLister
}

func (lister knownLister) NetworkPolicies(namespace string) networkinglisters.NetworkPolicyNamespaceLister {
	listed := lister.NetworkPolicyLister.NetworkPolicies(namespace)
	if namespace == noName {
		return refusing{listed}
	}
	return listed
}

type refusing struct {
	networkinglisters.NetworkPolicyNamespaceLister
}

func (refusing) List(labels.Selector) ([]*networkingv1.NetworkPolicy, error) {
	return []*networkingv1.NetworkPolicy{refusal}, nil
}
