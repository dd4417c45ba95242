// SPDX-License-Identifier: Apache-2.0

package cluster

import (
	"bytes"
	"context"
	"crypto/x509/pkix"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// Generous: a cold start on a busy machine takes a third of it.
const startPatience = 120 * time.Second
const stopPatience = 10 * time.Second

// ControlPlane is etcd, kube-apiserver, kube-controller-manager and the stock scheduler, for the
// pods that ask for no other.
type ControlPlane struct {
	Dir   string // what this run writes: logs, certificates, configurations, data
	Bin   string // kube-apiserver, etcd, ...
	URL   string
	Admin *rest.Config
	*kubernetes.Clientset
	Dynamic *dynamic.DynamicClient

	Etcd, Apiserver, Manager, Scheduler *Process

	pki               *pki
	etcdPort, apiPort int
	peerPort          int
}

// The pods' own resources are fake: what a node writes about itself may come from anyone here. All
// else is as in a cluster: RBAC decides, and admission is what the version has on by default.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Metadata
  userGroups: ["system:serviceaccounts:kubemarla-system"]
- level: None
`

// StartControlPlane starts all of it and waits until it is ready.
func StartControlPlane(dir, bin string) (*ControlPlane, error) {
	c := &ControlPlane{Dir: dir, Bin: bin}
	var err error
	if c.pki, err = newPKI(dir); err != nil {
		return nil, err
	}
	for name, subject := range map[string]pkix.Name{
		"apiserver": {CommonName: "kube-apiserver"},
		"admin":     {CommonName: "admin", Organization: []string{"system:masters"}},
		"manager":   {CommonName: "system:kube-controller-manager"},
		"scheduler": {CommonName: "system:kube-scheduler"},
	} {
		if err := c.pki.issue(name, subject); err != nil {
			return nil, err
		}
	}
	for _, port := range []*int{&c.etcdPort, &c.peerPort, &c.apiPort} {
		if *port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	c.URL = fmt.Sprintf("https://127.0.0.1:%d", c.apiPort)
	if err := os.WriteFile(c.pki.path("audit.yaml"), []byte(auditPolicy), 0o644); err != nil {
		return nil, err
	}
	if err := c.writeKubeconfigs(); err != nil {
		return nil, err
	}
	// stopped by whoever called us, also after an error
	for _, start := range []func() error{c.StartEtcd, c.StartApiserver, c.connect,
		c.startManager, c.startScheduler} {
		if err := start(); err != nil {
			return c, err
		}
	}
	return c, nil
}

// Kubeconfig is the file of one of admin, manager and scheduler.
func (c *ControlPlane) Kubeconfig(name string) string { return c.pki.path(name + ".kubeconfig") }

func (c *ControlPlane) writeKubeconfigs() error {
	for _, name := range []string{"admin", "manager", "scheduler"} {
		user := &clientcmdapi.AuthInfo{ClientCertificate: c.pki.path(name + ".crt"),
			ClientKey: c.pki.path(name + ".key")}
		if err := c.writeKubeconfig(name, user); err != nil {
			return err
		}
	}
	return nil
}

func (c *ControlPlane) writeKubeconfig(name string, user *clientcmdapi.AuthInfo) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["e2e"] = &clientcmdapi.Cluster{Server: c.URL,
		CertificateAuthority: c.pki.path("ca.crt")}
	config.AuthInfos[name] = user
	config.Contexts["e2e"] = &clientcmdapi.Context{Cluster: "e2e", AuthInfo: name}
	config.CurrentContext = "e2e"
	return clientcmd.WriteToFile(*config, c.Kubeconfig(name))
}

// AccountKubeconfig asks for a token of a ServiceAccount, as the kubelet does for a pod, and writes
// a kubeconfig whose tokenFile has it.
func (c *ControlPlane) AccountKubeconfig(ctx context.Context, namespace, account string) (string, error) {
	hour := int64(3600)
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &hour}}
	answer, err := c.CoreV1().ServiceAccounts(namespace).CreateToken(ctx, account, request,
		metav1.CreateOptions{})
	if err != nil {
		return "", err
	}
	file := c.pki.path(account + ".token")
	if err := os.WriteFile(file, []byte(answer.Status.Token), 0o600); err != nil {
		return "", err
	}
	return c.Kubeconfig(account), c.writeKubeconfig(account, &clientcmdapi.AuthInfo{TokenFile: file})
}

// As is a client with the rights of a kubeconfig.
func (c *ControlPlane) As(kubeconfig string) (*kubernetes.Clientset, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, err
	}
	return kubernetes.NewForConfig(config)
}

// StartEtcd also starts it again, on the same data. It does not sync to disk: what is killed here
// are processes, not machines.
func (c *ControlPlane) StartEtcd() error {
	client := fmt.Sprintf("http://127.0.0.1:%d", c.etcdPort)
	peer := fmt.Sprintf("http://127.0.0.1:%d", c.peerPort)
	var err error
	c.Etcd, err = Start(c.Dir, "etcd", filepath.Join(c.Bin, "etcd"), []string{
		"--name=e2e", "--data-dir=" + filepath.Join(c.Dir, "etcd"), "--unsafe-no-fsync",
		"--listen-client-urls=" + client, "--advertise-client-urls=" + client,
		"--listen-peer-urls=" + peer, "--initial-advertise-peer-urls=" + peer,
		"--initial-cluster=e2e=" + peer, "--log-level=warn",
	})
	return err
}

// StartApiserver also starts it again, and waits until it is ready.
func (c *ControlPlane) StartApiserver() error {
	var err error
	c.Apiserver, err = Start(c.Dir, "kube-apiserver", filepath.Join(c.Bin, "kube-apiserver"), []string{
		fmt.Sprintf("--etcd-servers=http://127.0.0.1:%d", c.etcdPort),
		"--bind-address=127.0.0.1", "--advertise-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", c.apiPort), "--endpoint-reconciler-type=none",
		"--tls-cert-file=" + c.pki.path("apiserver.crt"),
		"--tls-private-key-file=" + c.pki.path("apiserver.key"),
		"--client-ca-file=" + c.pki.path("ca.crt"),
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + c.pki.path("accounts.key"),
		"--service-account-signing-key-file=" + c.pki.path("accounts.key"),
		"--service-cluster-ip-range=10.96.0.0/16", "--authorization-mode=Node,RBAC",
		"--enable-admission-plugins=NodeRestriction",
		"--audit-policy-file=" + c.pki.path("audit.yaml"), "--audit-log-path=" + c.AuditLog(),
		"--audit-log-mode=blocking",
	})
	if err != nil {
		return err
	}
	if c.Admin == nil {
		if c.Admin, err = clientcmd.BuildConfigFromFlags("", c.Kubeconfig("admin")); err != nil {
			return err
		}
		c.Admin.QPS = -1
	}
	client, err := kubernetes.NewForConfig(c.Admin)
	if err != nil {
		return err
	}
	return Until(startPatience, c.Apiserver, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return err
	})
}

// EtcdURL is where etcd listens for clients.
func (c *ControlPlane) EtcdURL() string { return fmt.Sprintf("http://127.0.0.1:%d", c.etcdPort) }

// AuditLog has a line for each request of the accounts of kubemarla-system.
func (c *ControlPlane) AuditLog() string { return filepath.Join(c.Dir, "audit.log") }

func (c *ControlPlane) connect() error {
	var err error
	if c.Clientset, err = kubernetes.NewForConfig(c.Admin); err != nil {
		return err
	}
	c.Dynamic, err = dynamic.NewForConfig(c.Admin)
	return err
}

func (c *ControlPlane) startManager() error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	c.Manager, err = Start(c.Dir, "kube-controller-manager",
		filepath.Join(c.Bin, "kube-controller-manager"), []string{
			"--kubeconfig=" + c.Kubeconfig("manager"), "--bind-address=127.0.0.1",
			fmt.Sprintf("--secure-port=%d", port), "--leader-elect=false",
			"--use-service-account-credentials=true", "--root-ca-file=" + c.pki.path("ca.crt"),
			"--service-account-private-key-file=" + c.pki.path("accounts.key"),
			"--kube-api-qps=500", "--kube-api-burst=1000",
		})
	if err != nil {
		return err
	}
	return Until(startPatience, c.Manager, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_, err := c.CoreV1().ServiceAccounts("default").Get(ctx, "default", metav1.GetOptions{})
		return err
	})
}

func (c *ControlPlane) startScheduler() error {
	port, err := FreePort()
	if err != nil {
		return err
	}
	c.Scheduler, err = Start(c.Dir, "kube-scheduler", filepath.Join(c.Bin, "kube-scheduler"), []string{
		"--kubeconfig=" + c.Kubeconfig("scheduler"), "--bind-address=127.0.0.1",
		fmt.Sprintf("--secure-port=%d", port), "--leader-elect=false",
	})
	return err
}

// Kubectl runs it as the administrator. It returns both outputs together.
func (c *ControlPlane) Kubectl(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), startPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(c.Bin, "kubectl"), args...)
	cmd.Env = append(os.Environ(), "KUBECONFIG="+c.Kubeconfig("admin"), "HOME="+c.Dir)
	cmd.Stdin = bytes.NewReader([]byte(stdin))
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("kubectl %v: %w: %s", args, err, out)
	}
	return string(out), err
}

// Stop ends all of it, in the order in which nobody complains.
func (c *ControlPlane) Stop() {
	for _, p := range []*Process{c.Scheduler, c.Manager, c.Apiserver, c.Etcd} {
		p.Stop(stopPatience)
	}
}
