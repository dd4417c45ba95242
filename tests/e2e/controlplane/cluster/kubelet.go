// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	corelisters "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"
	"k8s.io/client-go/util/workqueue"
)

// FakeKubelets stand in for the kubelets of any number of nodes: they renew the nodes' Leases, say
// of pods bound to them that they run and are ready, and finish deletions. No container is ever
// started, no probe asked, no resource enforced: what they cannot show is whether the pods would
// work.
type FakeKubelets struct {
	// PodIP may give a pod an address of its own; "" leaves it to us.
	PodIP func(*corev1.Pod) string

	client *kubernetes.Clientset
	pods   corelisters.PodLister
	queue  workqueue.TypedRateLimitingInterface[types.NamespacedName]

	lock   sync.Mutex
	nodes  map[string]bool
	nextIP int
}

const (
	kubeletWorkers = 8
	leaseSeconds   = 40
	leaseEvery     = 10 * time.Second
)

// StartFakeKubelets begins with no node. They end with ctx.
func StartFakeKubelets(ctx context.Context, client *kubernetes.Clientset) (*FakeKubelets, error) {
	k := &FakeKubelets{client: client, nodes: map[string]bool{},
		queue: workqueue.NewTypedRateLimitingQueue(
			workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](
				20*time.Millisecond, time.Second))}
	factory := informers.NewSharedInformerFactory(client, 0)
	informer := factory.Core().V1().Pods().Informer()
	k.pods = factory.Core().V1().Pods().Lister()
	enqueue := func(object any) {
		if pod, ok := object.(*corev1.Pod); ok && pod.Spec.NodeName != "" {
			k.queue.Add(types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name})
		}
	}
	if _, err := informer.AddEventHandler(cache.ResourceEventHandlerFuncs{AddFunc: enqueue,
		UpdateFunc: func(_, object any) { enqueue(object) }}); err != nil {
		return nil, err
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil, ctx.Err()
	}
	for range kubeletWorkers {
		go k.work(ctx)
	}
	go func() {
		<-ctx.Done()
		k.queue.ShutDown()
	}()
	go k.renewLeases(ctx)
	return k, nil
}

// NodeShape is what a fake node offers.
type NodeShape struct {
	CPU, Memory, Pods string
	Labels            map[string]string
}

// AddNode registers a node and says that it is ready, as a kubelet does.
func (k *FakeKubelets) AddNode(ctx context.Context, name string, shape NodeShape) error {
	labels := map[string]string{corev1.LabelHostname: name, corev1.LabelOSStable: "linux",
		corev1.LabelArchStable: "amd64"}
	for key, value := range shape.Labels {
		labels[key] = value
	}
	offered := corev1.ResourceList{corev1.ResourceCPU: resource.MustParse(shape.CPU),
		corev1.ResourceMemory: resource.MustParse(shape.Memory),
		corev1.ResourcePods:   resource.MustParse(shape.Pods)}
	now := metav1.Now()
	node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name, Labels: labels},
		Status: corev1.NodeStatus{Capacity: offered, Allocatable: offered,
			NodeInfo: corev1.NodeSystemInfo{KubeletVersion: "v0.0.0-fake", OperatingSystem: "linux",
				Architecture: "amd64"},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue,
				Reason: "Fake", LastHeartbeatTime: now, LastTransitionTime: now}}}}
	if _, err := k.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
		return err
	}
	if err := k.renewLease(ctx, name); err != nil {
		return err
	}
	k.lock.Lock()
	defer k.lock.Unlock()
	k.nodes[name] = true
	return nil
}

// AddNodes does the same for many, side by side.
func (k *FakeKubelets) AddNodes(ctx context.Context, names []string, shape NodeShape) error {
	todo := make(chan string)
	failed := make(chan error, len(names))
	var workers sync.WaitGroup
	for range kubeletWorkers {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for name := range todo {
				if err := k.AddNode(ctx, name, shape); err != nil {
					failed <- fmt.Errorf("node %s: %w", name, err)
				}
			}
		}()
	}
	for _, name := range names {
		todo <- name
	}
	close(todo)
	workers.Wait()
	close(failed)
	return <-failed // nil when there is none
}

func (k *FakeKubelets) has(node string) bool {
	k.lock.Lock()
	defer k.lock.Unlock()
	return k.nodes[node]
}

func (k *FakeKubelets) renewLeases(ctx context.Context) {
	for {
		k.lock.Lock()
		names := make([]string, 0, len(k.nodes))
		for name := range k.nodes {
			names = append(names, name)
		}
		k.lock.Unlock()
		round := time.Now().Add(leaseEvery)
		for i, name := range names {
			// a failure is made good in the next round, long before the Lease expires
			_ = k.renewLease(ctx, name)
			pause := time.Until(round) / time.Duration(len(names)-i)
			select {
			case <-ctx.Done():
				return
			case <-time.After(pause):
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(max(time.Until(round), 100*time.Millisecond)):
		}
	}
}

func (k *FakeKubelets) renewLease(ctx context.Context, node string) error {
	seconds := int32(leaseSeconds)
	now := metav1.NowMicro()
	leases := k.client.CoordinationV1().Leases(corev1.NamespaceNodeLease)
	patch, err := json.Marshal(map[string]any{"spec": coordinationv1.LeaseSpec{
		HolderIdentity: &node, LeaseDurationSeconds: &seconds, RenewTime: &now}})
	if err != nil {
		return err
	}
	_, err = leases.Patch(ctx, node, types.MergePatchType, patch, metav1.PatchOptions{})
	if apierrors.IsNotFound(err) {
		lease := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Name: node},
			Spec: coordinationv1.LeaseSpec{HolderIdentity: &node,
				LeaseDurationSeconds: &seconds, RenewTime: &now}}
		_, err = leases.Create(ctx, lease, metav1.CreateOptions{})
	}
	return err
}

func (k *FakeKubelets) work(ctx context.Context) {
	for {
		key, over := k.queue.Get()
		if over {
			return
		}
		if err := k.sync(ctx, key); err != nil {
			k.queue.AddRateLimited(key)
		} else {
			k.queue.Forget(key)
		}
		k.queue.Done(key)
	}
}

func (k *FakeKubelets) sync(ctx context.Context, key types.NamespacedName) error {
	pod, err := k.pods.Pods(key.Namespace).Get(key.Name)
	if apierrors.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	switch {
	case !k.has(pod.Spec.NodeName):
		return nil
	case pod.DeletionTimestamp != nil:
		now := int64(0)
		err = k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
			GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID}})
	case pod.Status.Phase == corev1.PodPending:
		err = k.run(ctx, pod)
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		return nil // another pod of that name by now, which comes by itself
	}
	return err
}

func (k *FakeKubelets) run(ctx context.Context, pod *corev1.Pod) error {
	now := metav1.Now()
	ip := ""
	if k.PodIP != nil {
		ip = k.PodIP(pod)
	}
	if ip == "" {
		k.lock.Lock()
		k.nextIP++
		ip = fmt.Sprintf("10.%d.%d.%d", 128+k.nextIP>>16, k.nextIP>>8&255, k.nextIP&255)
		k.lock.Unlock()
	}
	status := corev1.PodStatus{Phase: corev1.PodRunning, PodIP: ip,
		PodIPs: []corev1.PodIP{{IP: ip}}, StartTime: &now}
	for _, kind := range []corev1.PodConditionType{corev1.PodInitialized, corev1.ContainersReady,
		corev1.PodReady} {
		status.Conditions = append(status.Conditions, corev1.PodCondition{Type: kind,
			Status: corev1.ConditionTrue, LastTransitionTime: now})
	}
	started := true
	for _, c := range pod.Spec.Containers {
		status.ContainerStatuses = append(status.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, Ready: true, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: now}}})
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"uid": pod.UID},
		"status": status})
	if err != nil {
		return err
	}
	_, err = k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name,
		types.StrategicMergePatchType, patch, metav1.PatchOptions{}, "status")
	return err
}
