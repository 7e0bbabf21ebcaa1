{{- /*
The container of egret, as an item of a list: one text for every form.
Takes a dict: `egret` (this chart's values), `form` (native, plain or gateway), `policyConfigMap`, `drainDeadline`,
`service` (what telemetry calls this process where the values do not say).
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
    {{- include "egret-sidecar.egretEnv" . | nindent 4 }}
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
  {{- if eq .form "plain" }}
  lifecycle:
    postStart:
      # Kubelet starts the containers after this one when the hook has ended, well or not.
      exec:
        command: [/egret, probe, {{ include "egret-sidecar.started" $egret }}, --wait=60s]
  {{- end }}
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
    command: [/egret, probe, {{ include "egret-sidecar.started" . }}]
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

{{- /* What to ask an egret that starts: by default, whether it has a policy. Takes the values. */ -}}
{{- define "egret-sidecar.started" -}}
{{ ternary "live" "ready" .policy.await }}, --admin=127.0.0.1:{{ .ports.admin }}
{{- end }}

{{- /* The variables of egret itself: who it is, where telemetry goes, its keys. Takes the dict of the container. */ -}}
{{- define "egret-sidecar.egretEnv" -}}
{{- $own := include "egret-sidecar.ownEnv" . -}}
{{- $names := list -}}
{{- range concat (fromYamlArray $own) .egret.extraEnv -}}
{{- /* Server-side apply takes no list that names a thing twice. */ -}}
{{- if has .name $names }}{{ fail (printf "%s is set twice: by extraEnv, keys.env or telemetry" .name) }}{{ end -}}
{{- $names = append $names .name -}}
{{- end -}}
{{ $own }}
{{- with .egret.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "egret-sidecar.ownEnv" -}}
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
{{- if contains "$(K8S_NODE_IP)" (toJson .egret.telemetry.otlp) }}
- name: K8S_NODE_IP
  valueFrom: { fieldRef: { fieldPath: status.hostIP } }
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ include "egret-sidecar.resourceAttributes" .egret.telemetry | quote }}
{{- include "egret-sidecar.telemetryEnv" . }}
{{- range $name, $from := .egret.keys.env }}
- name: {{ $name }}
  {{- include "egret-sidecar.fromSecret" $from | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Where telemetry goes, by OpenTelemetry's own variables. Takes the dict of the container. */ -}}
{{- define "egret-sidecar.telemetryEnv" -}}
{{- $telemetry := .egret.telemetry -}}
{{- $otlp := $telemetry.otlp -}}
{{- $exports := or $otlp.endpoint $otlp.tracesEndpoint $otlp.metricsEndpoint -}}
{{- $service := $telemetry.serviceName | default (ternary .service "" (not (empty $exports))) -}}
{{- $variables := list
  (list "OTEL_EXPORTER_OTLP_ENDPOINT" $otlp.endpoint)
  (list "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" $otlp.tracesEndpoint)
  (list "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT" $otlp.metricsEndpoint)
  (list "OTEL_EXPORTER_OTLP_PROTOCOL" $otlp.protocol)
  (list "OTEL_SERVICE_NAME" $service)
  (list "OTEL_TRACES_SAMPLER" $telemetry.sampler)
  (list "OTEL_TRACES_SAMPLER_ARG" (toString $telemetry.samplerArg))
  (list "EGRET_SEMCONV" $telemetry.semconv) -}}
{{- range $variables }}
{{- if last . }}
- name: {{ first . }}
  value: {{ last . | quote }}
{{- end }}
{{- end }}
{{- with $otlp.headersSecret }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  {{- include "egret-sidecar.fromSecret" . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "egret-sidecar.fromSecret" -}}
valueFrom:
  secretKeyRef:
    name: {{ .secret }}
    key: {{ .key }}
{{- end }}

{{- /*
Who the process is, and what the values add. Values are escaped as W3C baggage asks it, but `$(NAME)` stays: kubelet
puts a variable there, and what it puts there by itself is made of letters, digits, dots, colons and hyphens.
*/ -}}
{{- define "egret-sidecar.resourceAttributes" -}}
{{- $attributes := list
  "k8s.pod.name=$(K8S_POD_NAME)" "k8s.pod.uid=$(K8S_POD_UID)" "k8s.pod.ip=$(K8S_POD_IP)"
  "k8s.namespace.name=$(K8S_NAMESPACE_NAME)" "k8s.node.name=$(K8S_NODE_NAME)" "k8s.container.name=egret"
  "service.instance.id=$(K8S_NAMESPACE_NAME).$(K8S_POD_NAME).egret" -}}
{{- range $name, $value := .resourceAttributes }}
{{- $escaped := urlquery $value | replace "+" "%20" -}}
{{- range $octet := list "$" "(" ")" "+" "/" ":" "@" }}{{ $escaped = replace (urlquery $octet) $octet $escaped }}{{ end -}}
{{- $attributes = append $attributes (printf "%s=%s" $name $escaped) }}
{{- end -}}
{{ join "," $attributes }}
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
