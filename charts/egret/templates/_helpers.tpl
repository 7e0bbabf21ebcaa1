{{- define "egret.name" -}}
{{- .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" -}}
{{- end }}

{{- define "egret.fullname" -}}
{{- $name := .Values.nameOverride | default .Chart.Name -}}
{{- $both := ternary .Release.Name (printf "%s-%s" .Release.Name $name) (contains $name .Release.Name) -}}
{{- .Values.fullnameOverride | default $both | trunc 50 | trimSuffix "-" -}}
{{- end }}

{{- define "egret.namespace" -}}
{{- .Values.namespaceOverride | default .Release.Namespace -}}
{{- end }}

{{- define "egret.selectorLabels" -}}
app.kubernetes.io/name: {{ include "egret.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: gateway
{{- end }}

{{- define "egret.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "egret.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "egret.metadata" -}}
name: {{ include "egret.fullname" . }}
namespace: {{ include "egret.namespace" . }}
labels:
  {{- include "egret.labels" . | nindent 2 }}
{{- end }}

{{- define "egret.serviceAccountName" -}}
{{- $own := ternary (include "egret.fullname" .) "default" .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default $own -}}
{{- end }}

{{- /* The policy's ConfigMap: the user's own, or the one of this release. */ -}}
{{- define "egret.policyConfigMap" -}}
{{- $own := .Values.egret.policy.configMap -}}
{{- if and $own .Values.policy.files -}}
{{- fail "policy.files and egret.policy.configMap: one policy, not two" -}}
{{- end -}}
{{- if not (or $own .Values.policy.files) -}}
{{- fail "no policy: set policy.files, or name a ConfigMap in egret.policy.configMap" -}}
{{- end -}}
{{- $own | default (printf "%s-policy" (include "egret.fullname" .)) -}}
{{- end }}

{{- define "egret.testLabels" -}}
app.kubernetes.io/name: {{ include "egret.name" . }}-test
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
