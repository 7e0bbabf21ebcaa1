{{- /*
The container of egret, as an item of a list: one text for every form.
Takes a dict: `egret` (this chart's values), `form` (native, plain or gateway), `policyConfigMap`, `drainDeadline`.
*/ -}}
{{- define "egret-sidecar.container" -}}
{{- $egret := .egret -}}
{{- $pod := include "egret-sidecar.host" $egret.metrics.address -}}
- name: egret
  image: {{ include "egret-sidecar.image" $egret.image | quote }}
  imagePullPolicy: {{ $egret.image.pullPolicy }}
  {{- if eq .form "native" }}
  restartPolicy: Always
  {{- end }}
  args:
    - run
    - --policy=/etc/egret/policy
    - --listen={{ ternary $pod "127.0.0.1" (eq .form "gateway") }}:{{ $egret.ports.calls }}
    - --admin=127.0.0.1:{{ $egret.ports.admin }}
    {{- if $egret.metrics.enabled }}
    - --metrics={{ $pod }}:{{ $egret.ports.metrics }}
    {{- end }}
    - --drain={{ ternary "gateway" "sidecar" (eq .form "gateway") }}
    - --drain-deadline={{ .drainDeadline }}
    - --log={{ $egret.log }}
    {{- with $egret.tenant }}
    - --tenant={{ . }}
    {{- end }}
    {{- if $egret.policy.await }}
    - --await-policy
    {{- end }}
    - --workers={{ $egret.workers }}
    {{- range $egret.extraArgs }}
    - {{ . | quote }}
    {{- end }}
  env:
    {{- include "egret-sidecar.egretEnv" $egret | nindent 4 }}
  ports:
    {{- if eq .form "gateway" }}
    - name: http
      containerPort: {{ $egret.ports.calls }}
      protocol: TCP
    {{- end }}
    {{- if $egret.metrics.enabled }}
    # The name is fixed: PodMonitors find every egret by it.
    - name: egret-metrics
      containerPort: {{ $egret.ports.metrics }}
      protocol: TCP
    {{- end }}
  {{- include "egret-sidecar.probes" $egret | nindent 2 }}
  resources:
    {{- toYaml $egret.resources | nindent 4 }}
  securityContext:
    {{- include "egret-sidecar.securityContext" $egret | nindent 4 }}
  # A policy that is no good at start is then told by `kubectl describe pod`.
  terminationMessagePolicy: FallbackToLogsOnError
  volumeMounts:
    # The whole directory: kubelet never updates a mount with a subPath.
    - name: egret-policy
      mountPath: /etc/egret/policy
      readOnly: true
    {{- if $egret.keys.secrets }}
    - name: egret-keys
      mountPath: /var/run/secrets/egret
      readOnly: true
    {{- end }}
    {{- with $egret.extraVolumeMounts }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{- /* Kubelet's probes dial the pod's address and the pages are on loopback: egret asks itself. Takes the values. */ -}}
{{- define "egret-sidecar.probes" -}}
{{- $admin := printf "127.0.0.1:%v" .ports.admin -}}
startupProbe:
  # Native: the containers after this one start when it passes, so they find a policy in force.
  exec:
    command: [/egret, probe, {{ ternary "live" "ready" .policy.await }}, --admin={{ $admin }}]
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  exec:
    command: [/egret, probe, ready, --admin={{ $admin }}]
  periodSeconds: 5
  timeoutSeconds: 2
livenessProbe:
  exec:
    command: [/egret, probe, live, --admin={{ $admin }}]
  periodSeconds: 10
  timeoutSeconds: 2
{{- end }}

{{- /* The variables of egret itself: who it is, and its keys. Takes the values. */ -}}
{{- define "egret-sidecar.egretEnv" -}}
{{- $attributes := list
  "k8s.pod.name=$(K8S_POD_NAME)" "k8s.pod.uid=$(K8S_POD_UID)" "k8s.pod.ip=$(K8S_POD_IP)"
  "k8s.namespace.name=$(K8S_NAMESPACE_NAME)" "k8s.node.name=$(K8S_NODE_NAME)" "k8s.container.name=egret" -}}
{{- range $name, $value := .resourceAttributes }}
{{- $attributes = append $attributes (printf "%s=%s" $name $value) }}
{{- end -}}
- name: K8S_POD_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.name } }
- name: K8S_POD_UID
  valueFrom: { fieldRef: { fieldPath: metadata.uid } }
- name: K8S_POD_IP
  valueFrom: { fieldRef: { fieldPath: status.podIP } }
- name: K8S_NAMESPACE_NAME
  valueFrom: { fieldRef: { fieldPath: metadata.namespace } }
- name: K8S_NODE_NAME
  valueFrom: { fieldRef: { fieldPath: spec.nodeName } }
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ join "," $attributes | quote }}
{{- range $name, $from := .keys.env }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef:
      name: {{ $from.secret }}
      key: {{ $from.key }}
{{- end }}
{{- with .extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The restricted profile, and a root that cannot be written. Takes the values. */ -}}
{{- define "egret-sidecar.securityContext" -}}
runAsNonRoot: true
{{- with .user }}
runAsUser: {{ . }}
runAsGroup: {{ . }}
{{- end }}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{- define "egret-sidecar.image" -}}
{{- if .digest -}}
{{ .repository }}@{{ .digest }}
{{- else -}}
{{ .repository }}:{{ .tag }}
{{- end -}}
{{- end }}

{{- /* An address as it stands before a port. */ -}}
{{- define "egret-sidecar.host" -}}
{{- if contains ":" . }}[{{ . }}]{{ else }}{{ . }}{{ end -}}
{{- end }}

{{- /* The volumes of the container. Takes a dict: `egret`, `policyConfigMap`. */ -}}
{{- define "egret-sidecar.containerVolumes" -}}
- name: egret-policy
  configMap:
    name: {{ .policyConfigMap }}
{{- with .egret.keys.secrets }}
- name: egret-keys
  projected:
    sources:
      {{- range . }}
      - secret:
          name: {{ . }}
      {{- end }}
{{- end }}
{{- with .egret.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
