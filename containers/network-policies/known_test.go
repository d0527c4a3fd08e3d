package main

import (
	"testing"

	v1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	networkinglisters "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"
)

func pod(name, address string, phase v1.PodPhase) *v1.Pod {
	return &v1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: "argus", Name: name},
		Status:     v1.PodStatus{PodIP: address, Phase: phase},
	}
}

func TestAnAddressOfThePodsNetworkIsAlwaysSomebodys(t *testing.T) {
	known := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{
		"address": func(of any) ([]string, error) { return []string{of.(*v1.Pod).Status.PodIP}, nil },
	})
	running, starting := pod("consumer-0", "10.244.1.1", v1.PodRunning), pod("consumer-1", "10.244.1.2", v1.PodPending)
	elsewhere := pod("on-the-machine", "192.0.2.11", v1.PodRunning)
	for _, each := range []*v1.Pod{
		running,
		starting,
		elsewhere,
		pod("before", "10.244.1.1", v1.PodSucceeded),
		pod("done", "10.244.1.3", v1.PodSucceeded),
		pod("broken", "10.244.1.4", v1.PodFailed),
	} {
		if err := known.Add(each); err != nil {
			t.Fatal(err)
		}
	}
	indexer := knownIndexer{known, podNetwork}
	for address, want := range map[string]*v1.Pod{
		"10.244.1.1":   running,
		"10.244.1.2":   starting,
		"192.0.2.11":   elsewhere,
		"10.244.1.3":   stranger,
		"10.244.1.4":   stranger,
		"10.244.9.9":   stranger,
		"192.0.2.99":   nil,
		"2001:db8::99": nil,
		"":             nil,
	} {
		found, err := indexer.ByIndex("address", address)
		if err != nil {
			t.Fatal(err)
		}
		if want == nil && len(found) == 0 {
			continue
		}
		if len(found) != 1 || found[0] != any(want) {
			t.Errorf("%s: %v", address, found)
		}
	}
	if _, err := indexer.ByIndex("no such index", "10.244.1.1"); err == nil {
		t.Error("an error was lost")
	}
}

func TestAPolicyRefusesTheStrangerEverythingAndOthersHaveTheirOwn(t *testing.T) {
	known := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{cache.NamespaceIndex: cache.MetaNamespaceIndexFunc})
	real := &networkingv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: "argus", Name: "kafka"}}
	if err := known.Add(real); err != nil {
		t.Fatal(err)
	}
	lister := knownLister{networkinglisters.NewNetworkPolicyLister(known)}
	for namespace, want := range map[string]*networkingv1.NetworkPolicy{"argus": real, noName: refusal, "default": nil} {
		found, err := lister.NetworkPolicies(namespace).List(labels.Everything())
		if err != nil {
			t.Fatal(err)
		}
		if want == nil && len(found) == 0 {
			continue
		}
		if len(found) != 1 || found[0] != want {
			t.Errorf("%s: %v", namespace, found)
		}
	}
	// It selects every pod of its namespace, both ways, and lists nobody who may.
	spec := refusal.Spec
	if len(spec.PolicyTypes) != 2 || spec.Ingress != nil || spec.Egress != nil {
		t.Error(spec)
	}
	selected, err := metav1.LabelSelectorAsSelector(&spec.PodSelector)
	if err != nil || !selected.Matches(labels.Set(stranger.Labels)) || stranger.Namespace != refusal.Namespace {
		t.Error(selected, err)
	}
}
